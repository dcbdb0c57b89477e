/** Who may call itself what: a name belongs to one uid, and a second device of that name gets its uid appended. */
export class DeviceNames {
  private readonly uidByName = new Map<string, string>()
  private readonly nameByUid = new Map<string, string>()

  /** The name for the device, the same whenever it comes back. */
  claim(uid: string, wanted: string): string {
    const known = this.nameByUid.get(uid)
    if (known !== undefined && (known === wanted || known.startsWith(`${wanted}-`))) return known
    if (known !== undefined) this.uidByName.delete(known)
    const name = this.uidByName.has(wanted) ? `${wanted}-${uid.slice(-4)}` : wanted
    this.uidByName.set(name, uid)
    this.nameByUid.set(uid, name)
    return name
  }
}
