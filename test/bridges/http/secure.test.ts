import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { get } from 'node:https'
import { type TestContext, test } from 'node:test'
import { BridgeScene } from '../bridge-scene.ts'
import { freePort } from '../free-port.ts'
import { certificates } from '../mqtt/certificates.ts'

async function start(t: TestContext, tls: string) {
  const port = await freePort()
  const scene = await BridgeScene.start(t, `- {id: rest, kind: http, listen: ${port}, host: 127.0.0.1, tls: ${tls}}`)
  return { port, scene }
}

test('a port of its own speaks TLS when there is a certificate', async (t) => {
  const { ca, cert, key } = certificates(t)
  const { port, scene } = await start(t, `{cert: ${cert}, key: ${key}}`)
  await scene.set('/x', { type: 'i64', value: 1 })
  const text = await new Promise<string>((resolve, reject) => {
    const options = { host: 'localhost', port, path: '/v1/', ca: readFileSync(ca), agent: false }
    get({ ...options, family: 4 }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => resolve(text))
    }).on('error', reject)
  })
  assert.match(text, new RegExp(`curl https:.{1,8}localhost:${port}/v1/`))
})

test('files that cannot be read or used are named', async (t) => {
  const missing = await start(t, '{cert: /nowhere/cert.pem, key: /nowhere/key.pem}')
  assert.match(missing.scene.report('rest').reason, /\/nowhere\/cert\.pem cannot be read \(ENOENT\)/)
  const { cert } = certificates(t)
  const wrong = await start(t, `{cert: ${cert}, key: ${cert}}`)
  assert.match(wrong.scene.report('rest').reason, /cert\.pem cannot be used/)
})
