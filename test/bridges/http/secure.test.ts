import assert from 'node:assert/strict'
import { once } from 'node:events'
import { copyFileSync, readFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { get } from 'node:https'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { SteppedClock } from '../../router/stepped-clock.ts'
import { BridgeScene, type BridgeSceneOptions } from '../bridge-scene.ts'
import { freePort } from '../free-port.ts'
import { certificates } from '../mqtt/certificates.ts'

async function start(t: TestContext, tls: string, options: BridgeSceneOptions = {}) {
  const port = await freePort()
  const yaml = `- {id: rest, kind: http, listen: ${port}, host: 127.0.0.1, tls: ${tls}}`
  const scene = await BridgeScene.start(t, yaml, options)
  return { port, scene }
}

/** Rejects when the authority has not signed the certificate. */
async function read(port: number, ca: string): Promise<string> {
  const outgoing = get({ host: 'localhost', port, path: '/v1/', ca: readFileSync(ca), agent: false, family: 4 })
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
  return text(response)
}

test('a port of its own speaks TLS when there is a certificate, and takes renewed files up', async (t) => {
  const { ca, cert, key } = certificates(t)
  const clock = new SteppedClock()
  const { port, scene } = await start(t, `{cert: ${cert}, key: ${key}}`, { clock })
  assert.match(await read(port, ca), new RegExp(`curl https:.{1,8}localhost:${port}/v1/`))
  const next = certificates(t)
  copyFileSync(next.cert, cert)
  await untilRead(() =>
    /stays as it was: .*cert\.pem and .*key\.pem cannot be used/.test(scene.report('rest').lastError),
  )
  assert.notEqual(await read(port, ca), '', 'the old one, as long as the new one is not there as a whole')
  copyFileSync(next.key, key)
  await untilRead(() =>
    read(port, next.ca).then(
      () => true,
      () => false,
    ),
  )
  await assert.rejects(read(port, ca), /certificate/)

  /** Minutes pass. */
  async function untilRead(isSo: () => boolean | Promise<boolean>): Promise<void> {
    for (let i = 0; i < 1000; i++) {
      if (await isSo()) return
      clock.advance(60_000)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    assert.fail(`not within a thousand minutes: ${isSo}`)
  }
})

test('files that cannot be read or used are named', async (t) => {
  const missing = await start(t, '{cert: /nowhere/cert.pem, key: /nowhere/key.pem}')
  assert.match(missing.scene.report('rest').reason, /\/nowhere\/cert\.pem cannot be read \(ENOENT\)/)
  const { cert } = certificates(t)
  const wrong = await start(t, `{cert: ${cert}, key: ${cert}}`)
  assert.match(wrong.scene.report('rest').reason, /cert\.pem cannot be used/)
})
