import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { Product } from './product.ts'
import { until } from './until.ts'
import { UsbSerialGadget } from './usb-gadget.ts'

/** What arrives at the far end of a cable, which ends it when it is out. */
function listen(t: TestContext, path: string): () => Buffer {
  const heard: Buffer[] = []
  const port = openSync(path, 'r+')
  const child = spawn('sh', ['-c', 'stty raw -echo && exec cat'], { stdio: [port, 'pipe', 'inherit'] })
  closeSync(port)
  child.stdout?.on('data', (bytes) => heard.push(bytes))
  t.after(() => child.kill())
  return () => Buffer.concat(heard)
}

test('DMX512 goes out at a USB port that has no breaks, which is told, and again after the cable was out', async (t) => {
  const gadget = new UsbSerialGadget(t, 'STAGE')
  let heard = listen(t, gadget.far)
  const entry = `{id: stage, kind: dmx, type: uart, port: '${gadget.selector}', slots: 24, onStart: full}`
  const product = await Product.start(t, `bridges:\n  - ${entry}\n`)
  const frame = Buffer.concat([Buffer.alloc(1), Buffer.alloc(24, 255)])
  await until(() => heard().includes(frame), 'a frame')
  const isTold = ({ address, value }: (typeof product.events)[number]) =>
    address === '/_meta/bridges/stage/error' && /cannot send a break/.test(JSON.stringify(value))
  const status = () => product.params.get('/_meta/bridges/stage') as { state?: string; last_error?: string }
  await until(() => product.events.some(isTold) || /cannot send a break/.test(status()?.last_error ?? ''), 'its error')
  gadget.unplug()
  await until(() => status()?.state === 'degraded', 'the loss')
  gadget.plug()
  heard = listen(t, gadget.far)
  await until(() => heard().includes(frame), 'a frame after it')
  await until(() => status()?.state === 'running', 'its state')
})
