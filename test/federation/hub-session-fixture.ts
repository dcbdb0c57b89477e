import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { encodeFrame } from '../../firmware-protocol/wire/frame.ts'
import type { Message, Publish, SetParam, SnapshotParam } from '../../firmware-protocol/wire/message.ts'
import { dialHub } from '../../runtime/federation/leaf/dialed-hub-session.ts'
import type {
  HubSession,
  HubSessionHandler,
  HubSessionOptions,
  LinkProblem,
  Refusal,
} from '../../runtime/federation/leaf/hub-session.ts'
import { type Clock, systemClock } from '../../runtime/router/clock.ts'

interface Test {
  after(end: () => void): void
}

/** Everything that a session told its handler. */
export class Heard implements HubSessionHandler {
  sets: SetParam[] = []
  publishes: Publish[] = []
  snapshots: SnapshotParam[][] = []
  overflows = 0
  refusals: Refusal[] = []
  ended: LinkProblem[] = []
  rooms = 0

  onSet(message: SetParam): void {
    this.sets.push(message)
  }

  onPublish(message: Publish): void {
    this.publishes.push(message)
  }

  onSnapshot(params: SnapshotParam[]): void {
    this.snapshots.push(params)
  }

  onOverflow(): void {
    this.overflows++
  }

  onRefused(refusal: Refusal): void {
    this.refusals.push(refusal)
  }

  onEnded(problem: LinkProblem): void {
    this.ended.push(problem)
  }

  onRoom(): void {
    this.rooms++
  }
}

export interface DialSetup extends Partial<HubSessionOptions> {
  clock?: Clock
  signal?: AbortSignal
  handler?: HubSessionHandler
}

/** What becomes of an attempt. A session that it gives ends with the test. */
export async function attempt(t: Test, url: string, setup: DialSetup = {}): Promise<HubSession | LinkProblem> {
  const { clock = systemClock, signal, handler = new Heard(), ...options } = setup
  const aborter = new AbortController()
  t.after(() => aborter.abort())
  return dialHub(
    {
      url,
      name: 'leaf-test',
      isPeer: true,
      rate: 0,
      window: 16,
      connectTimeoutMs: 10_000,
      answerTimeoutMs: 10_000,
      ...options,
    },
    handler,
    { clock, signal: signal ?? aborter.signal },
  )
}

export async function problemOf(t: Test, url: string, setup: DialSetup = {}): Promise<LinkProblem> {
  const outcome = await attempt(t, url, setup)
  assert.ok('kind' in outcome, 'a session came about')
  return outcome
}

export async function openSession(
  t: Test,
  url: string,
  setup: DialSetup = {},
): Promise<{ session: HubSession; heard: Heard }> {
  const heard = new Heard()
  const session = await attempt(t, url, { handler: heard, ...setup })
  assert.ok(!('kind' in session), JSON.stringify(session))
  return { session, heard }
}

/** A frame as TCP carries it. */
export function prefixed(frame: Uint8Array): Buffer {
  const prefix = Buffer.alloc(4)
  prefix.writeUInt32BE(frame.length)
  return Buffer.concat([prefix, frame])
}

export function sendTo(socket: Socket, ...messages: Message[]): void {
  socket.write(Buffer.concat(messages.map((message) => prefixed(encodeFrame(message)))))
}

export const WELCOME: Message = {
  type: 'WELCOME',
  version: 1,
  features: ['param', 'event'],
  time: 1,
  session: 'session-1',
  name: 'raw hub',
}
