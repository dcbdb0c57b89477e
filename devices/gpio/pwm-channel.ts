import { access, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { DeviceClock, DeviceContext } from '../device.ts'
import { type ForcedReason, type Guard, LineError } from '../io/lines.ts'

const APPEARS_MS = 1000
const LOOK_AGAIN_MS = 20

/** A PWM output; times are in ns. */
export interface PwmChannel {
  /** The latest counts when several come at once. `dutyNs` is at most `periodNs`. */
  set(periodNs: number, dutyNs: number): void
  close(): Promise<void>
}

interface PwmRequest {
  chip: number
  channel: number
  /** What it has when nobody is in charge. */
  safe: { periodNs: number; dutyNs: number }
  onForced(reason: ForcedReason): void
}

/** Two devices would take turns in making it safe. */
export function pwmClaims({ chip, channel }: Pick<PwmRequest, 'chip' | 'channel'>): readonly string[] {
  return [`the channel ${channel} of PWM chip ${chip}`]
}

/**
 * Opens a PWM output of the kernel (Documentation/ABI/testing/sysfs-class-pwm), or one that does nothing. It has its
 * safe duty then, and gets it again from outside when this process ends or hangs. Rejects with a LineError.
 */
export async function openPwm(context: DeviceContext, request: PwmRequest): Promise<PwmChannel> {
  if (context.isSimulated) return { set: () => {}, close: async () => {} }
  const { chip, channel, safe, onForced } = request
  const folder = join(context.sysfs, 'class/pwm', `pwmchip${chip}`)
  const own = join(folder, `pwm${channel}`)
  if (!(await exists(own))) {
    await put(join(folder, 'export'), String(channel))
    await appears(join(own, 'duty_cycle'), context.clock)
  }
  const pwm = new SysfsPwm(own, context.lost)
  // Nothing is changed before it is clear that nobody else looks after it.
  pwm.guard = await context.lines.guard({
    path: join(own, 'duty_cycle'),
    safe: `${safe.dutyNs}\n`,
    onForced(reason) {
      pwm.beSafe()
      onForced(reason)
    },
    onLost: context.lost,
  })
  try {
    // A period shorter than the duty of before is refused.
    await put(join(own, 'duty_cycle'), '0')
    await put(join(own, 'period'), String(safe.periodNs))
    await put(join(own, 'duty_cycle'), String(safe.dutyNs))
    await put(join(own, 'enable'), '1')
  } catch (error) {
    await pwm.close()
    throw error
  }
  pwm.safeShare = safe.dutyNs / safe.periodNs
  pwm.periodNs = safe.periodNs
  pwm.askedNs = safe.periodNs
  return pwm
}

class SysfsPwm implements PwmChannel {
  guard: Guard | null = null
  safeShare = 0
  periodNs = 0
  /** The period that was asked for last; 0: it is being set up, which ends with the safe duty. */
  askedNs = 0
  private readonly folder: string
  private readonly lost: (error: Error) => void
  private waiting: { periodNs: number; dutyNs: number } | null = null
  private writing: Promise<void> | null = null

  constructor(folder: string, lost: (error: Error) => void) {
    this.folder = folder
    this.lost = lost
  }

  set(periodNs: number, dutyNs: number): void {
    this.askedNs = periodNs
    this.waiting = { periodNs, dutyNs }
    this.writing ??= this.write()
  }

  /** What was on its way while this process hung may have come after what the guard wrote. */
  beSafe(): void {
    if (this.askedNs > 0) this.set(this.askedNs, Math.round(this.safeShare * this.askedNs))
  }

  async close(): Promise<void> {
    // Whoever guards it may be gone.
    this.beSafe()
    await this.writing
    await this.guard?.close()
  }

  private async write(): Promise<void> {
    try {
      while (this.waiting !== null) {
        const { periodNs, dutyNs } = this.waiting
        this.waiting = null
        if (periodNs !== this.periodNs) {
          const guardIt = () => this.guard?.change(`${Math.round(this.safeShare * periodNs)}\n`)
          const isShorter = periodNs < this.periodNs
          // The kernel refuses a duty that is longer than the period, and this process may end at any moment.
          if (isShorter) guardIt()
          await put(join(this.folder, 'duty_cycle'), '0')
          await put(join(this.folder, 'period'), String(periodNs))
          this.periodNs = periodNs
          if (!isShorter) guardIt()
        }
        await put(join(this.folder, 'duty_cycle'), String(dutyNs))
      }
    } catch (error) {
      this.lost(error as Error)
    } finally {
      // Together with the last look at what waits: what comes next is written anew.
      this.writing = null
    }
  }
}

async function put(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, `${text}\n`, { flag: 'r+' })
  } catch (error) {
    throw explain(path, error as NodeJS.ErrnoException)
  }
}

function explain(path: string, { code, message }: NodeJS.ErrnoException): LineError {
  if (code === 'ENOENT') {
    const remedy = 'enable it, on a Raspberry Pi with dtoverlay=pwm-2chan in config.txt'
    return new LineError('missing', `there is no PWM at ${path}: ${remedy}, and start again`)
  }
  if (code === 'EACCES' || code === 'EPERM') {
    const remedy = 'add the user of this process to the group gpio, or give it the folder by a udev rule'
    return new LineError('denied', `not allowed to write ${path}: ${remedy}`)
  }
  if (code === 'EBUSY') return new LineError('busy', `${path}: the PWM is in use by the kernel: take another channel`)
  if (code === 'ENODEV')
    return new LineError('unknown', `${path}: this PWM chip has no such channel: see npwm beside it`)
  return new LineError('failed', `cannot write ${path}: ${message}`)
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

/** The kernel makes the folder at once, udev gives it to the group a little later. */
async function appears(path: string, clock: DeviceClock): Promise<void> {
  const deadline = clock.now() + APPEARS_MS
  while (!(await exists(path)) && clock.now() < deadline) {
    await new Promise<void>((resolve) => clock.timer(LOOK_AGAIN_MS, resolve))
  }
}
