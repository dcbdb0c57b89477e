import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { appendFile } from 'node:fs/promises'
import { type TestContext, test } from 'node:test'
import { Product } from './product.ts'
import { programPath } from './programs.ts'
import { until } from './until.ts'
import { UsbSerialGadget } from './usb-gadget.ts'

/** A microcontroller with the firmware library and one signal, at the far end of the cable. Ends with the test. */
function startNode(t: TestContext, port: string): ChildProcess {
  const args = ['--port', port, '--name', 'usbnode', '--signal', '/level,f64,param+out', '--quiet', '--stdin']
  const child = spawn(programPath('simulated-node'), args, { stdio: ['pipe', 'ignore', 'inherit'] })
  t.after(() => child.kill())
  return child
}

/** A terminal at the far end of the cable, which hears and says what the test wants. The cable ends it when it is out. */
class Terminal {
  heard = ''
  private readonly path: string
  private readonly child: ChildProcess

  constructor(t: TestContext, path: string) {
    this.path = path
    // Its settings last as long as somebody has it open.
    const port = openSync(path, 'r+')
    this.child = spawn('sh', ['-c', 'stty raw -echo && echo ready && exec cat'], { stdio: [port, 'pipe', 'inherit'] })
    closeSync(port)
    this.child.stdout?.on('data', (text) => {
      this.heard += text
    })
    t.after(() => this.child.kill())
  }

  async say(text: string): Promise<void> {
    await until(() => this.heard.startsWith('ready'), 'the terminal')
    await appendFile(this.path, text)
  }
}

test('a microcontroller on USB is lost when it is unplugged, and back when it is plugged in', async (t) => {
  const gadget = new UsbSerialGadget(t, 'NODE')
  const product = await Product.start(t, `firmware:\n  serial: [{port: '${gadget.selector}', mode: link}]\n`)
  const node = startNode(t, gadget.far)
  const isOnline = () => {
    const link = product.params.get('/dev/usbnode/$link')
    return typeof link === 'object' ? link?.online : undefined
  }
  await until(() => isOnline() === true, 'the device')
  node.stdin?.write('set /level 0.25\n')
  await until(() => product.params.get('/level') === 0.25, 'its value')
  gadget.unplug()
  await until(() => isOnline() === false, 'the loss')
  node.stdin?.write('set /level 0.75\n')
  gadget.plug()
  await until(() => isOnline() === true, 'the return')
  await until(() => product.params.get('/level') === 0.75, 'what was set meanwhile')
})

test('lines of text come and go over USB, also after the cable was out', async (t) => {
  const gadget = new UsbSerialGadget(t, 'LINES')
  const product = await Product.start(t, `devices:\n  - {name: scale, kind: lines, port: '${gadget.selector}'}\n`)
  const far = new Terminal(t, gadget.far)
  const lines = () => product.events.filter(({ address }) => address === '/serial/scale/line').map(({ value }) => value)
  await until(() => product.params.get('/serial/scale/ok') === true, 'the port')
  await far.say('12.5 kg\r\n')
  await until(() => lines().length === 1, 'the line')
  await product.publish('/serial/scale/send', 'tare')
  await until(() => far.heard.includes('tare'), 'what was sent')
  gadget.unplug()
  await until(() => product.params.get('/serial/scale/ok') === false, 'the loss')
  gadget.plug()
  await until(() => product.params.get('/serial/scale/ok') === true, 'the return')
  await new Terminal(t, gadget.far).say('13.0 kg\r\n')
  await until(() => lines().length === 2, 'the line after')
  assert.deepEqual(lines(), ['12.5 kg', '13.0 kg'])
})
