/** Follows who is connected. Not on the hot path: called once when a session begins and once when it ends. Must not throw. */
export interface SessionObserver {
  /** After HELLO. Clients choose their names: several may have the same one. */
  onSessionStart(id: string, name: string): void
  onSessionEnd(id: string): void
}
