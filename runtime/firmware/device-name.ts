/** Names that are kept for devices that may come back. */
const MAX_NAMES = 2048

/** Who may call itself what: a name belongs to one uid, and a second device of that name gets its uid appended. */
export class DeviceNames {
  private readonly uidByName = new Map<string, string>()
  /** The one that was claimed last goes last. */
  private readonly nameByUid = new Map<string, string>()
  private readonly isInUse: (uid: string) => boolean

  constructor(isInUse: (uid: string) => boolean) {
    this.isInUse = isInUse
  }

  /** The name for the device, the same whenever it comes back. */
  claim(uid: string, wanted: string): string {
    const known = this.nameByUid.get(uid)
    const candidates = [wanted, `${wanted}-${uid.slice(-4)}`, `${wanted}-${uid}`]
    const isKept = known !== undefined && candidates.includes(known)
    const name = isKept ? known : (candidates.find((candidate) => !this.uidByName.has(candidate)) ?? uid)
    if (known !== undefined && !isKept) this.uidByName.delete(known)
    this.nameByUid.delete(uid)
    this.nameByUid.set(uid, name)
    this.uidByName.set(name, uid)
    this.forgetSome()
    return name
  }

  private forgetSome(): void {
    for (const [uid, name] of this.nameByUid) {
      if (this.nameByUid.size <= MAX_NAMES) return
      if (this.isInUse(uid)) continue
      this.nameByUid.delete(uid)
      this.uidByName.delete(name)
    }
  }
}
