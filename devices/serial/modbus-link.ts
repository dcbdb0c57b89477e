/** A way to Modbus slaves: a serial line, a network, or slaves that are made up. */
export interface ModbusLink {
  /**
   * Sends one request, without address and checksum, and returns the answer, which fits to it and is no refusal. Called
   * one at a time. Rejects with a ModbusError.
   */
  request(slave: number, pdu: Uint8Array): Promise<Uint8Array>
  /** The answer is not waited for any longer: the request rejects. */
  giveUp(): void
  close(): Promise<void>
}
