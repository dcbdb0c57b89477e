import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { test } from 'node:test'
import { MonitorScreen } from '../../runtime/cli/monitor-screen.ts'
import { MonitorTable } from '../../runtime/cli/monitor-table.ts'
import type { Terminal } from '../../runtime/cli/terminal.ts'
import type { Delivery } from '../../runtime/client/subscription.ts'

const LEAVE = '\u001b[?25h\u001b[?1049l'

function param(address: string, value: number, more: Partial<Delivery> = {}): Delivery {
  return { address, signal: 'param', value: { type: 'i64', value }, isInitial: false, ...more }
}

class Keyboard extends EventEmitter {
  readonly isTTY = true
  isRaw = false
  setRawMode(isRaw: boolean): void {
    this.isRaw = isRaw
  }
  setEncoding(): void {}
  pause(): void {}
}

function fakeTerminal(columns = 80, rows = 10) {
  const keyboard = new Keyboard()
  const screen = { output: '' }
  const terminal: Terminal = {
    line: (text) => assert.fail(`a line beside the screen: ${text}`),
    note: (text) => assert.fail(`a note beside the screen: ${text}`),
    raw(text) {
      screen.output += text
    },
    input: keyboard as unknown as NodeJS.ReadStream,
    isInteractive: true,
    columns,
    rows,
    paint: (_style, text) => text,
  }
  return { terminal, keyboard, screen }
}

/** What a terminal would show of the last picture. */
function lastPicture(output: string): string[] {
  const picture = output.slice(output.lastIndexOf('\u001b[H') + 3)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return picture.replace(/\u001b\[[\d;]*[A-Za-z]/g, '').split('\r\n')
}

test('the table counts rates, ages and writers, sorts and filters', () => {
  const table = new MonitorTable(0)
  const { terminal } = fakeTerminal()
  table.onDelivery(param('/b', 1, { isInitial: true, writer: '0123456789', revision: 1 }), 0)
  for (let i = 0; i < 10; i++) table.onDelivery(param('/c', i), 500 + i)
  table.onDelivery({ address: '/a', signal: 'event', isInitial: false }, 900)
  table.countRates(1000)
  const addresses = () => table.visible().map(({ address }) => address)
  assert.deepEqual(addresses(), ['/a', '/b', '/c'])
  table.sort = 'rate'
  assert.deepEqual(addresses(), ['/c', '/a', '/b'])
  table.sort = 'recent'
  assert.deepEqual(addresses(), ['/a', '/c', '/b'])
  assert.deepEqual(
    table.lines(terminal, 80, 10, 1900).map((line) => line.split(/\s+/)),
    [
      ['ADDRESS', 'VALUE', 'TYPE', 'RATE', 'AGE*', 'WRITER'],
      ['/a', '–', 'event', '1.0/s', '1', 's'],
      ['/c', '9', 'i64', '10.0/s', '1', 's'],
      ['/b', '1', 'i64', 'held', '01234567'],
    ],
  )
  table.writerNames = new Map([['0123456789', 'desk']])
  assert.match(table.lines(terminal, 80, 10, 1900)[3], /desk$/)
  table.filter = 'B'
  assert.deepEqual(addresses(), ['/b'])
  for (let second = 2; second < 12; second++) table.countRates(second * 1000)
  table.filter = ''
  assert.deepEqual(
    table.visible().map(({ rate }) => rate),
    [0, 0, 0],
  )
})

test('no line is wider than the terminal, whatever the addresses and values are', () => {
  const table = new MonitorTable(0)
  table.onDelivery(param(`/${'long/'.repeat(50)}x`, 1), 0)
  table.onDelivery(
    { address: '/s', signal: 'param', value: { type: 'string', value: 'y'.repeat(500) }, isInitial: true },
    0,
  )
  const { terminal } = fakeTerminal()
  for (const width of [40, 80, 200]) {
    for (const line of table.lines(terminal, width, 10, 0)) assert.ok(line.length <= width, `${width}: ${line}`)
  }
})

test('addresses without end do not fill the memory', () => {
  const table = new MonitorTable(0)
  for (let i = 0; i < 20_010; i++) table.onDelivery(param(`/${i}`, i), 0)
  assert.deepEqual([table.size, table.hiddenUpdates], [20_000, 10])
})

test('the screen obeys its keys and gives the terminal back', () => {
  const { terminal, keyboard, screen } = fakeTerminal(80, 6)
  const table = new MonitorTable(0)
  for (const name of ['lamp', 'fan', 'door', 'lock', 'bell']) table.onDelivery(param(`/${name}`, 1), 0)
  let quits = 0
  const view = new MonitorScreen(terminal, table, () => quits++)
  view.title = 'stage'
  view.draw(0)
  assert.equal(keyboard.isRaw, true)
  assert.equal(view.capacity, 3)
  assert.match(lastPicture(screen.output)[0], /^stage {2}5 addresses/)
  assert.match(lastPicture(screen.output)[2], /^\/bell /)
  assert.equal(lastPicture(screen.output).filter((line) => line.startsWith('/')).length, 3)

  keyboard.emit('data', '/')
  keyboard.emit('data', 'lq')
  keyboard.emit('data', '\u007f')
  assert.match(lastPicture(screen.output)[0], /filter: l_/)
  assert.equal(quits, 0)
  keyboard.emit('data', 'o\r')
  assert.match(lastPicture(screen.output)[2], /^\/lock /)
  keyboard.emit('data', 's')
  assert.equal(table.sort, 'rate')
  keyboard.emit('data', '\u001b[A')
  assert.equal(table.filter, 'lo', 'an escape sequence is no key')
  keyboard.emit('data', '/')
  keyboard.emit('data', '\u001b')
  assert.equal(table.filter, '')
  keyboard.emit('data', 'q')
  keyboard.emit('data', '\u0003')
  assert.equal(quits, 2)

  const listeners = process.listenerCount('exit')
  view.close()
  assert.ok(screen.output.endsWith(LEAVE))
  assert.equal(keyboard.isRaw, false)
  assert.equal(keyboard.listenerCount('data'), 0)
  assert.equal(process.listenerCount('exit'), listeners - 1)
})
