import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { type TestContext, test } from 'node:test'
import { Product } from './product.ts'
import { programPath } from './programs.ts'
import { until } from './until.ts'

/** Of linux/input-event-codes.h. */
const KEY_1 = 2
const KEY_2 = 3
const KEY_ENTER = 28

/** A keyboard of this name; it is unplugged when its standard input ends, at the latest after the test. */
function plugKeyboard(t: TestContext, name: string): ChildProcess {
  const child = spawn(programPath('keyboard'), [name], { stdio: ['pipe', 'ignore', 'inherit'] })
  t.after(() => child.kill())
  return child
}

test('what is typed on a USB keypad is an event, also after it was unplugged', async (t) => {
  const keyboard = plugKeyboard(t, 'Test keypad')
  const product = await Product.start(
    t,
    `devices:
  - {name: reader, kind: keypad, device: Test keypad, mode: text}
`,
  )
  const codes = () =>
    product.events
      .filter(({ address }) => address === '/input/reader/text')
      .map(({ value }) => (typeof value === 'object' ? value?.code : value))
  const isOk = () => product.params.get('/input/reader/ok')
  await until(() => isOk() === true, 'the keypad')
  keyboard.stdin?.write(`${KEY_1}\n${KEY_2}\n${KEY_ENTER}\n`)
  await until(() => codes().length === 1, 'what was typed')
  keyboard.stdin?.end()
  await until(() => isOk() === false, 'the loss')
  const again = plugKeyboard(t, 'Test keypad')
  await until(() => isOk() === true, 'the return')
  again.stdin?.write(`${KEY_2}\n${KEY_ENTER}\n`)
  await until(() => codes().length === 2, 'what was typed after')
  assert.deepEqual(codes(), ['12', '2'])
})
