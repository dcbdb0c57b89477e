import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { IClientOptions } from 'mqtt'
import type { BridgeContext, OpenBridge } from '../bridge.ts'
import { BrokerLink } from './broker-link.ts'
import { HomeAssistant } from './home-assistant.ts'
import type { MqttClientOptions } from './mqtt-client-kind.ts'
import { MqttTraffic } from './mqtt-traffic.ts'

const TOPIC_ALIASES = 16
const RECEIVE_MAXIMUM = 64

/** Connects to a broker; see `BrokerLink.open` for what it rejects with. Source: bridges.md §9. */
export const openMqttClient: OpenBridge<MqttClientOptions> = async (context) => {
  const { options, clock, random } = context
  const statusTopic = options.statusTopic ?? `clasp/${context.id}/status`
  const client = await context.openClient(`${context.id} requests`)
  const origin = await clientIdOf(context)
  const traffic = new MqttTraffic(context, client, { statusTopic, origin })
  try {
    const link = await BrokerLink.open({
      url: options.url,
      version: options.version,
      client: await clientOptions(options, statusTopic, origin),
      clock,
      random,
      handlers: traffic,
    })
    const homeAssistant = options.homeAssistant
      ? new HomeAssistant(context, { statusTopic, send: (message) => traffic.send(message) })
      : null
    await traffic.begin(link, homeAssistant)
    return {
      async stop() {
        homeAssistant?.stop()
        traffic.stop()
        await link.stop()
        await client.close()
      },
    }
  } catch (error) {
    traffic.stop()
    await client.close()
    throw error
  }
}

/** The same at every start, so that the broker keeps our session. */
async function clientIdOf({ options, folder, id }: BridgeContext<MqttClientOptions>): Promise<string> {
  if (options.clientId !== undefined) return options.clientId
  const fresh = `clasp-${randomBytes(4).toString('hex')}`
  if (folder === undefined) return fresh
  const path = join(folder, `mqtt-${id}.client-id`)
  try {
    const known = (await readFile(path, 'utf8')).trim()
    if (known !== '') return known
  } catch {
    // The first start.
  }
  // Where the folder cannot be written to, the session is a new one after a restart: no reason not to start.
  await writeFile(path, `${fresh}\n`).catch(() => {})
  return fresh
}

async function clientOptions(
  options: MqttClientOptions,
  statusTopic: string,
  clientId: string,
): Promise<IClientOptions> {
  const { tlsCa, tlsCert, tlsKey, tlsAlpn, tlsVerify } = options
  return {
    clientId,
    username: options.username,
    password: options.password,
    keepalive: Math.round(options.keepAlive / 1000),
    connectTimeout: options.connectTimeout,
    clean: false,
    // Both are done here.
    reconnectPeriod: 0,
    resubscribe: false,
    queueQoSZero: false,
    autoAssignTopicAlias: true,
    rejectUnauthorized: tlsVerify,
    ca: tlsCa === undefined ? undefined : await pem(tlsCa, 'tlsCa'),
    cert: tlsCert === undefined ? undefined : await pem(tlsCert, 'tlsCert'),
    key: tlsKey === undefined ? undefined : await pem(tlsKey, 'tlsKey'),
    ALPNProtocols: tlsAlpn === undefined ? undefined : [tlsAlpn],
    will: {
      topic: statusTopic,
      payload: Buffer.from('offline'),
      qos: 1,
      retain: true,
      properties: { willDelayInterval: Math.round(options.willDelay / 1000) },
    },
    properties: {
      sessionExpiryInterval: Math.round(options.sessionExpiry / 1000),
      receiveMaximum: RECEIVE_MAXIMUM,
      maximumPacketSize: options.maxPacket,
      topicAliasMaximum: TOPIC_ALIASES,
    },
  }
}

async function pem(path: string, option: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code
    throw new Error(`${option}: ${path} cannot be read (${reason}): check its path and its permissions`)
  }
}
