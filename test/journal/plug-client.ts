import type { Message } from '../../firmware-protocol/wire/message.ts'
import type { Client } from '../../runtime/client/client.ts'
import { until } from '../until.ts'

/** What one REPLAY answers at most. */
const MAX_REPLAYED = 10_000
const REPLAY_LIMIT_MS = 60_000

export interface Replayed {
  address: string
  text: string
  /** 0 = not a SET. */
  revision: number
}

/** History of text values from a time on, in order. Throws when there is more than one answer holds. */
export async function replay(client: Client, pattern: string, fromUs: number, toUs?: number): Promise<Replayed[]> {
  const entries: Replayed[] = []
  const problems: string[] = []
  const end = client.onMessage((message: Message) => {
    if (message.type === 'ERROR') problems.push(message.message)
    if ((message.type !== 'SET' && message.type !== 'PUBLISH') || message.value?.type !== 'string') return
    const revision = message.type === 'SET' ? Number(message.revision) : 0
    entries.push({ address: message.address, text: message.value.value, revision })
  })
  try {
    client.send({ type: 'REPLAY', pattern, from: fromUs, to: toUs, limit: MAX_REPLAYED, types: [] })
    await client.ping(REPLAY_LIMIT_MS)
  } finally {
    end()
  }
  if (problems.length > 0) throw new Error(`REPLAY ${pattern}: ${problems.join(', ')}`)
  if (entries.length >= MAX_REPLAYED) throw new Error(`REPLAY ${pattern}: more than one answer holds`)
  return entries
}

export function put(client: Client, address: string, value: string) {
  return client.set(address, { type: 'string', value })
}

/** The words with which a SET is refused. */
export async function refusalOf(client: Client, address: string, value: string): Promise<string> {
  let refusal = ''
  const end = client.onMessage((message) => {
    if (message.type === 'ERROR' && message.address === address) refusal = `${message.code} ${message.message}`
  })
  client.send({ type: 'SET', address, value: { type: 'string', value } })
  await until(() => refusal !== '', `refusal of ${address}`)
  end()
  return refusal
}

export async function textAt(client: Client, address: string): Promise<string | undefined> {
  const param = await client.get(address)
  return param?.value.type === 'string' ? param.value.value : undefined
}

export async function texts(client: Client, pattern: string): Promise<string[]> {
  const params = await client.snapshot(pattern)
  return params.map(({ value }) => (value.type === 'string' ? value.value : value.type))
}

/** Waits until the router says something of its journal as a param. */
export async function tells(client: Client, fact: string, words: RegExp): Promise<void> {
  let text: string | undefined
  const subscription = await client.subscribe([`/_clasp/journal/${fact}`], ({ value }) => {
    if (value?.type === 'string') text = value.value
  })
  await until(() => text !== undefined && words.test(text), `${words} at /_clasp/journal/${fact}`)
  subscription.unsubscribe()
}
