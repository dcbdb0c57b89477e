import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { defineDevice } from '../device.ts'
import { failSafeProblem, gradualFailSafeOptions } from '../fail-safe.ts'
import { choice, required, text } from '../options.ts'
import { readAttribute, readNumber } from './sysfs-file.ts'

/** What `clasp-io` writes by itself has to fit into its message. */
const LONGEST_TRIGGER = 30

/**
 * A light that the kernel has a driver for: those of the board, or of a keyboard. Something of the kernel (its trigger)
 * may drive it: the card, the network, a heartbeat. Source: Documentation/leds/leds-class.rst of Linux; bridges.md §20.2.
 */
export const kernelLed = defineDevice({
  kind: 'kernel-led',
  description: 'A light of the board that the kernel drives (LED class): brightness and trigger.',
  namespace: 'leds',
  isFailSafe: true,
  options: {
    led: required({ ...text('Its name below /sys/class/leds: ACT, led0, beaglebone:green:usr0.'), fallback: '' }),
    safe: choice(
      'At the start, at a stop, and when the router hangs or is gone; trigger gives it back to what drove it before.',
      'trigger',
      ['off', 'on', 'trigger'],
    ),
    ...gradualFailSafeOptions,
  },
  check: failSafeProblem,
  claims: ({ led }) => [`the LED ${led}`],
  signals: ({ safe }) => ({
    '': {
      type: 'param',
      datatype: 'f64',
      access: 'rw',
      unit: 'normalized',
      range: [0, 1],
      description: `Brightness; safe=${safe}`,
      pace: { maxRateHz: 30 },
    },
    trigger: {
      type: 'param',
      datatype: 'string',
      access: 'rw',
      description: 'What of the kernel drives it, such as heartbeat, mmc0, timer; none: its brightness counts',
    },
  }),
  async open(context) {
    const { options, set, problem, lost, name } = context
    if (context.isSimulated) return simulated(set)
    const folder = join(context.sysfs, 'class/leds', options.led)
    const brightnessFile = join(folder, 'brightness')
    const triggerFile = join(folder, 'trigger')
    const max = await readNumber(join(folder, 'max_brightness')).catch(async () => {
      const leds = await readdir(join(context.sysfs, 'class/leds')).catch(() => [])
      const others = leds.length === 0 ? 'this kernel has none' : `there are ${leds.join(', ')}`
      throw new Error(`there is no LED ${options.led}: ${others}`)
    })
    let trigger = currentTrigger(await readAttribute(triggerFile))
    const former = trigger.slice(0, LONGEST_TRIGGER)
    let writing = Promise.resolve()
    const put = (file: string, value: string) => {
      writing = writing.then(() => writeFile(file, `${value}\n`, { flag: 'r+' })).catch(explain)
    }
    const explain = (error: NodeJS.ErrnoException) => {
      if (error.code === 'EINVAL') problem('value', `${name}: this kernel has no such trigger: see ${triggerFile}`)
      else if (error.code === 'EACCES' || error.code === 'EPERM') lost(new Error(deniedText(folder)))
      else lost(error)
    }
    let brightness = 0
    const light = (share: number) => {
      brightness = share
      // With a trigger the kernel takes a brightness for that of the blinking.
      if (trigger !== 'none') put(triggerFile, 'none')
      trigger = 'none'
      put(brightnessFile, String(Math.round(share * max)))
    }
    const hand = (to: string) => {
      trigger = to
      put(triggerFile, to)
    }
    const beSafe = () => {
      if (options.safe === 'trigger') hand(former)
      else light(options.safe === 'on' ? 1 : 0)
    }
    const tell = () => {
      set('', options.safe === 'on' ? 1 : 0)
      set('trigger', trigger)
    }
    const handBack = { path: triggerFile, safe: `${former}\n` }
    const safeLight = {
      // With a trigger it would go on blinking.
      before: { path: triggerFile, safe: 'none\n' },
      path: brightnessFile,
      safe: `${options.safe === 'on' ? max : 0}\n`,
    }
    const guard = await context.lines.guard({
      ...(options.safe === 'trigger' ? handBack : safeLight),
      onForced: () => {
        beSafe()
        tell()
        problem('failsafe', `${name} is in its safe state: the router did not answer in time`)
      },
      onLost: lost,
    })
    beSafe()
    tell()
    return {
      write: {
        '': (value) => {
          light(Number(value))
          set('trigger', trigger)
        },
        trigger: (value) => {
          hand(String(value))
          // The kernel puts it out then.
          if (value === 'none') light(brightness)
        },
      },
      safe(_reason, keepsWish) {
        beSafe()
        if (!keepsWish) tell()
      },
      async close() {
        // Whoever guards it may be gone; and with its trigger it is found as it was when it is opened again.
        beSafe()
        await writing
        await guard.close()
      },
    }
  },
})

function simulated(set: (key: string, value: string | number) => void) {
  set('', 0)
  set('trigger', 'none')
  return {
    write: { '': () => set('trigger', 'none'), trigger: () => {} },
    safe: () => {},
    close: () => {},
  }
}

/** The file lists all triggers, with the current one in brackets. */
function currentTrigger(text: string): string {
  return /\[([^\]]+)\]/.exec(text)?.[1] ?? 'none'
}

function deniedText(folder: string): string {
  return `not allowed to write ${folder}: give brightness and trigger to the user of this process by a udev rule`
}
