import { Control, FrameClass } from '../../firmware-protocol/link/constants.ts'
import type { DeviceReport } from '../firmware/device-report.ts'
import type { TappedFrame } from '../firmware/firmware-hub.ts'
import type { SignalNames } from './firmware-record-text.ts'

/** Reports are asked for again only so often. */
const LEARN_EVERY_US = 2_000_000

/** Addresses of the signals of all devices, from their reports and from the declarations that pass by. */
export class DeviceSignals {
  private readonly devices = new Map<string, Map<number, string>>()
  private learnedAtUs = 0
  private isIncomplete = false

  of(uid: string): SignalNames {
    return {
      nameOf: (id) => {
        const name = this.devices.get(uid)?.get(id)
        if (name === undefined) this.isIncomplete = true
        return name
      },
      onDeclared: (id, address) => this.namesOf(uid).set(id, address),
    }
  }

  learn(reports: readonly Pick<DeviceReport, 'uid' | 'signals'>[]): void {
    for (const { uid, signals } of reports) {
      const names = this.namesOf(uid)
      for (const { id, address } of signals) names.set(id, address)
    }
    this.isIncomplete = false
  }

  /** Names are missing, or the device starts over: time to `learn`. */
  isNews({ mode, hex, atUs }: TappedFrame): boolean {
    const isLink = mode === 'link' || mode === 'datagram'
    if (!isLink || atUs - this.learnedAtUs < LEARN_EVERY_US) return false
    const isAnnounce = Number.parseInt(hex.slice(0, 2), 16) === (FrameClass.control | Control.announce)
    if (!isAnnounce && !this.isIncomplete) return false
    this.learnedAtUs = atUs
    return true
  }

  private namesOf(uid: string): Map<number, string> {
    let names = this.devices.get(uid)
    if (names === undefined) {
      names = new Map()
      this.devices.set(uid, names)
    }
    return names
  }
}
