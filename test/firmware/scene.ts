import type { TestContext } from 'node:test'
import type { Message } from '../../firmware-protocol/wire/message.ts'
import type { Peer } from '../router/fixture.ts'
import { until } from '../until.ts'
import type { DatagramWire } from './datagram-wire.ts'
import { Stage, type StageOptions } from './fixture.ts'
import { describing, type SignalSpec } from './records.ts'
import { DESCRIPTOR, type Identity, ScriptedDevice } from './scripted-device.ts'

export interface Scene {
  stage: Stage
  device: ScriptedDevice<DatagramWire>
  client: Peer
}

/** A device called `node` that is online, and a client. */
export async function scene(
  t: TestContext,
  identity: Partial<Identity> = {},
  options: StageOptions = {},
): Promise<Scene> {
  const stage = await Stage.start(t, options)
  const client = await stage.client()
  const device = await ScriptedDevice.udp(stage.udpPort, t, { name: 'node', descriptor: DESCRIPTOR, ...identity })
  await device.join()
  return { stage, device, client }
}

/** The same with these signals. */
export function declaring(t: TestContext, ...signals: SignalSpec[]): Promise<Scene> {
  return scene(t, { descriptor: describing(signals) })
}

/** The first message of this type that has arrived or does; what came before it is dropped. */
export async function told<T extends Message['type']>(client: Peer, type: T): Promise<Extract<Message, { type: T }>> {
  const found = () => client.inbox.find((message) => message.type === type)
  await client.until(() => found() !== undefined, type)
  const message = found() as Extract<Message, { type: T }>
  client.inbox.splice(0, client.inbox.indexOf(message) + 1)
  return message
}

/** The n-th record that the router sent under this id. */
export async function got(device: ScriptedDevice, id: number, count = 1) {
  await until(() => device.of(id).length >= count, `${count} records of signal ${id}`)
  return device.of(id)[count - 1]
}
