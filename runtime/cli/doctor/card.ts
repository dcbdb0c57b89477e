import { showBytes } from '../amounts.ts'
import type { CheckResult, Finding } from './finding.ts'
import { mountOf, readMounts } from './mounts.ts'
import type { System, SystemFiles } from './system.ts'

const FEW_BYTES = 50_000_000
const LITTLE_SHARE = 0.05

/** The medium that the system is on: can it be written, is there room, how worn is it. */
export async function checkCard(system: System): Promise<CheckResult> {
  const { files } = system
  const wear = await checkWear(files)
  const findings = [
    ...(await checkReadOnly(files)),
    ...(await checkRoom(system)),
    ...wear.findings,
    ...(await checkErrors(files)),
    ...(await checkSwap(files)),
  ]
  return { topic: 'card', fine: findings.some(({ severity }) => severity !== 'hint') ? '' : wear.fine, findings }
}

async function checkReadOnly(files: SystemFiles): Promise<Finding[]> {
  const root = mountOf(await readMounts(files), '/')
  if (root === undefined || !root.options.includes('ro') || ['overlay', 'squashfs', 'erofs'].includes(root.type))
    return []
  const wanted = mountOf(await readMounts(files, '/etc/fstab'), '/')
  // A system that is meant to be read-only says so.
  if (wanted?.options.includes('ro')) return []
  return [
    {
      severity: 'problem',
      what: `the system is mounted read-only (${root.device})`,
      meaning: 'the kernel does so after errors of the card: nothing is stored any more, and the card may be dying',
      remedy: 'see the errors, save what matters, and use another card',
      type: ['sudo dmesg | grep -i -e mmc -e ext4 -e "I/O error"'],
    },
  ]
}

async function checkRoom({ live }: System): Promise<Finding[]> {
  const space = await live?.space('/')
  if (space === undefined || space.totalBytes === 0) return []
  const { freeBytes, totalBytes, freeFiles } = space
  const isFull = freeBytes < FEW_BYTES
  if (!isFull && freeBytes / totalBytes >= LITTLE_SHARE && freeFiles >= LITTLE_SHARE) return []
  return [
    {
      severity: isFull ? 'problem' : 'warning',
      what:
        freeFiles < LITTLE_SHARE
          ? 'there is hardly room for more files on /'
          : `${showBytes(freeBytes)} of ${showBytes(totalBytes)} are free on /`,
      meaning: 'a full card stops the journal and updates, and wears out sooner',
      remedy: 'remove what is not needed; see what is large',
      type: ['sudo du -xh / | sort -h | tail -20', 'sudo journalctl --vacuum-size=50M', 'sudo apt clean'],
    },
  ]
}

/**
 * eMMC counts its wear. life_time: two memory types in steps of 10 % (`0x02` is 10 to 20 % used, `0x0b` beyond its
 * life); pre_eol_info: 1 normal, 2 warning (80 % of the spare blocks used), 3 urgent. Source: JEDEC JESD84-B51, EXT_CSD
 * 267 to 269. SD cards do not tell.
 */
async function checkWear(files: SystemFiles): Promise<{ fine: string; findings: Finding[] }> {
  const findings: Finding[] = []
  const fine: string[] = []
  for (const disk of await files.names('/sys/block', /^mmcblk\d+$/)) {
    const folder = `/sys/block/${disk}/device`
    const type = await files.text(`${folder}/type`)
    const steps = ((await files.text(`${folder}/life_time`)) ?? '')
      .split(/\s+/)
      .map(Number)
      .filter((step) => step > 0)
    const spare = Number((await files.text(`${folder}/pre_eol_info`)) ?? 0)
    const name = `${disk}${(await files.text(`${folder}/name`)) ? ` (${await files.text(`${folder}/name`)})` : ''}`
    if (steps.length === 0 && !(spare > 0)) {
      if (type !== undefined) fine.push(`${name} does not count its wear`)
      continue
    }
    const worst = Math.max(0, ...steps)
    const used = worst > 10 ? 'more than 100' : `up to ${worst * 10}`
    if (worst < 9 && spare < 2) fine.push(`${name}: ${used} % of its life used`)
    else {
      findings.push({
        severity: worst > 10 || spare >= 3 ? 'problem' : 'warning',
        what: `${name} has used ${used} % of its life${spare >= 2 ? ' and most of its spare blocks' : ''}`,
        meaning: 'it will fail or become read-only',
        remedy: 'save what matters and move to a new one, of an industrial kind if it is written much',
      })
    }
  }
  return { fine: fine.join(', '), findings }
}

async function checkErrors(files: SystemFiles): Promise<Finding[]> {
  const disks = await files.names('/sys/fs/ext4')
  const counts = await Promise.all(
    disks.map(async (disk) => Number(await files.text(`/sys/fs/ext4/${disk}/errors_count`))),
  )
  return disks.flatMap((disk, i): Finding[] =>
    counts[i] > 0
      ? [
          {
            severity: 'warning',
            what: `the file system on ${disk} has counted ${counts[i]} errors`,
            meaning: 'files may be damaged; power cuts and bad supplies do that, and cards that wear out',
            remedy: 'let it be checked: start once with fsck.mode=force on the command line of the kernel',
          },
        ]
      : [],
  )
}

async function checkSwap(files: SystemFiles): Promise<Finding[]> {
  const lines = ((await files.text('/proc/swaps')) ?? '').split('\n').slice(1)
  const onCard = lines
    .map((line) => line.split(/\s+/)[0])
    .filter((path) => /^\/(dev\/mmcblk|var\/swap|swapfile)/.test(path))
  if (onCard.length === 0) return []
  return [
    {
      severity: 'hint',
      what: `memory is swapped to ${onCard.join(', ')}`,
      meaning: 'that wears the card, and stalls everything while it is written',
      remedy: 'use compressed memory instead',
      type: ['sudo apt install systemd-zram-generator', `sudo swapoff ${onCard[0]}`],
    },
  ]
}
