import { dirname } from 'node:path'
import { usualJournalFolder } from '../../journal/journal-folder.ts'
import { showBytes } from '../amounts.ts'
import type { CheckResult, Finding } from './finding.ts'
import { type Mount, mountOf, readMounts } from './mounts.ts'
import type { System } from './system.ts'
import { mayUse } from './user.ts'

const FEW_BYTES = 50_000_000

/** Whether state and history can be stored, and survive a power cut there. */
export async function checkJournalPlace(system: System): Promise<CheckResult> {
  const { files, config, live, user } = system
  const usual = live === undefined ? '/var/lib/clasp-edge' : usualJournalFolder(process.env)
  const folder = config.journal.enabled === false ? undefined : (config.journal.folder ?? usual)
  const topic = 'journal'
  if (config.journal.enabled === false) return { topic, fine: 'off, as configured', findings: [] }
  if (folder === undefined) {
    const finding: Finding = {
      severity: config.journal.enabled === true ? 'problem' : 'hint',
      what: 'there is no folder for the journal',
      meaning: 'the state is kept in memory, and is gone after a stop',
      remedy: 'make the usual folder, or set journal.folder',
      type: [`sudo install --directory --owner ${user.name} /var/lib/clasp-edge`],
    }
    return { topic, fine: '', findings: [finding] }
  }
  const findings = [...(await folderFindings(system, folder)), ...mountFindings(await readMounts(files), folder)]
  const space = await live?.space(folder)
  if (space !== undefined && space.freeBytes < FEW_BYTES) {
    findings.push({
      severity: 'warning',
      what: `${showBytes(space.freeBytes)} are free for ${folder}`,
      meaning: 'when it is full, the state is kept in memory only',
      remedy: 'make room, or shorten journal.retention',
      type: ['clasp-edge journal stats', 'clasp-edge journal vacuum'],
    })
  }
  return { topic, fine: findings.length === 0 ? folder : '', findings }
}

async function folderFindings({ files, user }: System, folder: string): Promise<Finding[]> {
  let path = folder
  let stats = await files.stat(path)
  // A missing folder is made at the start, if its parent allows.
  while (stats === undefined && path !== '/' && path !== '.') {
    path = dirname(path)
    stats = await files.stat(path)
  }
  if (stats === undefined) return []
  const remedy = `give it to ${user.name}`
  if (!stats.isDirectory()) {
    return [
      { severity: 'problem', what: `${path} is no folder`, meaning: 'nothing is stored', remedy: 'set journal.folder' },
    ]
  }
  if (mayUse(stats, user)) return []
  return [
    {
      severity: 'problem',
      what: `${user.name} may not write in ${path}`,
      meaning: 'nothing is stored: the state is gone after a stop',
      remedy,
      type: [`sudo install --directory --owner ${user.name} ${folder}`],
    },
  ]
}

function mountFindings(mounts: readonly Mount[], folder: string): Finding[] {
  const mount = mountOf(mounts, folder)
  if (mount === undefined) return []
  const { type, options, place } = mount
  const findings: Finding[] = []
  if (options.includes('ro')) {
    findings.push({
      severity: 'problem',
      what: `${folder} is on ${place}, which is mounted read-only`,
      meaning: 'nothing is stored: the state is gone after a stop',
      remedy: 'set journal.folder to a place that can be written',
    })
  }
  if (type === 'tmpfs' || type === 'ramfs') {
    findings.push({
      severity: 'warning',
      what: `${folder} is in memory (${type})`,
      meaning: 'the journal does not survive a restart',
      remedy: 'set journal.folder to a place on the disk or card',
    })
  }
  if (['vfat', 'exfat', 'nfs', 'nfs4', 'cifs', '9p'].includes(type)) {
    findings.push({
      severity: 'warning',
      what: `${folder} is on ${type}`,
      meaning: 'a database there may be damaged by a power cut or a lost connection',
      remedy: 'use ext4 or another file system of Linux on this machine',
    })
  }
  if (options.includes('nobarrier') || options.includes('barrier=0')) {
    findings.push({
      severity: 'warning',
      what: `${place} is mounted without write barriers`,
      meaning: 'what was acknowledged as stored may be gone after a power cut',
      remedy: `remove nobarrier from the line of ${place} in /etc/fstab, and mount it again`,
      type: [`sudo mount --options remount,barrier ${place}`],
    })
  }
  return findings
}
