import { showBytes, showCount, showTime } from '../amounts.ts'
import { defineCommand } from '../command.ts'
import { FirmwarePages, pageOptions, type ReportedDevice } from '../firmware-pages.ts'
import { deviceNamed } from '../firmware-target.ts'
import { tableLines } from '../table.ts'
import { printable, type Terminal } from '../terminal.ts'

/** Counters that an operator should know of when they are not 0. */
const TROUBLE: readonly (readonly [counter: string, words: string])[] = [
  ['crcErrors', 'frames arrived damaged (CRC): look at the cable, its ground and length, and the speed'],
  ['oversize', 'blocks were longer than any frame: is the speed right?'],
  ['malformed', 'blocks on the line were no frames: noise, or text that the firmware prints'],
  ['malformedRecords', 'frames could not be understood: do firmware and router fit together?'],
  ['retransmissions', 'frames were sent to the device again, because it did not confirm them'],
  ['naks', 'times the device asked for a frame again'],
  ['lostUnreliable', 'frames with values were lost; newer values have followed'],
  ['stalls', 'times the device could not keep up and asked to wait'],
  ['losses', 'times the link was lost'],
  ['unknownIds', 'values came of signals that the device has not declared'],
  ['flooded', 'values were dropped, because the device sends too many'],
  ['refused', 'writes of the device were refused by the router'],
  ['inconvertible', 'values could not be sent: the device takes another type, or nothing that long'],
  ['dropped', 'events for the device gave way to newer ones, because it was too slow'],
]

export const firmwareInfo = defineCommand({
  usage: '[DEVICE]',
  args: [0, 1],
  details:
    'Lists the devices of the running router; with DEVICE (its name, its uid, or the port that it is on) tells all about\n' +
    'one: its signals, and how well the link to it works.',
  options: {
    json: { type: 'boolean', help: 'One object a line, with all counters.' },
    ...pageOptions,
  },
  examples: [
    ['firmware info', 'all devices'],
    ['firmware info sim', 'one of them'],
  ],
  async run({ values, args, terminal }) {
    const pages = await FirmwarePages.of(values)
    const report = await pages.report()
    const [word] = args
    const devices = word === undefined ? report.devices : [await deviceNamed(report, word, pages.place)]
    if (values.json) for (const device of devices) terminal.line(JSON.stringify(device))
    else if (word !== undefined) showDevice(devices[0], terminal)
    else if (devices.length > 0) showList(devices, terminal)
    else terminal.note(`the router at ${pages.place} has no devices; "clasp-edge firmware ports" shows the ports`)
    return 0
  },
})

function showList(devices: readonly ReportedDevice[], terminal: Terminal): void {
  const right = (title: string) => ({ title, align: 'right' as const })
  const columns = [
    { title: 'DEVICE', maxWidth: 30 },
    { title: 'UID' },
    { title: 'STATE' },
    { title: 'PORT' },
    { title: 'FIRMWARE', maxWidth: 20 },
    right('SIGNALS'),
    right('ROUND TRIP'),
    right('DAMAGED'),
    right('RESENT'),
    right('LOST'),
  ]
  const rows = devices.map(({ name, uid, state, port, firmware, signals, roundTripMs, counters }) => [
    name,
    uid,
    state,
    port,
    firmware ?? '',
    String(signals.length),
    roundTripText(roundTripMs) ?? '',
    showCount(counters.crcErrors ?? 0),
    showCount(counters.retransmissions ?? 0),
    showCount(counters.lostUnreliable ?? 0),
  ])
  for (const line of tableLines(terminal, columns, rows)) terminal.line(line)
}

function showDevice(device: ReportedDevice, terminal: Terminal): void {
  const { name, uid, port, state, onlineMs, firmware, prefix, descriptorHash, roundTripMs, conflicts, counters } =
    device
  const pairs: [string, string | undefined][] = [
    ['device', `${name} (${uid})`],
    ['state', onlineMs === undefined ? state : `${state} for ${showTime(onlineMs)}`],
    ['port', port],
    ['firmware', firmware],
    ['signals', `below ${prefix}${descriptorHash === undefined ? '' : ` (descriptor ${descriptorHash})`}`],
    ['round trip', roundTripText(roundTripMs)],
    ['traffic', trafficText(counters)],
  ]
  for (const [title, text] of pairs) {
    if (text !== undefined) terminal.line(`${terminal.paint('bold', title.padEnd(10))}  ${printable(text)}`)
  }
  const trouble = TROUBLE.filter(([counter]) => (counters[counter] ?? 0) > 0)
  const lines = trouble.map(([counter, words]) => [showCount(counters[counter]), words] as const)
  if (conflicts > 0) lines.unshift([showCount(conflicts), 'times another device came with this uid: give each its own'])
  if (lines.length === 0) terminal.line(`${terminal.paint('bold', 'trouble   ')}  none`)
  else {
    terminal.line(terminal.paint('bold', 'trouble'))
    const width = Math.max(...lines.map(([count]) => count.length))
    for (const [count, words] of lines) terminal.line(`  ${terminal.paint('yellow', count.padStart(width))} ${words}`)
  }
  showSignals(device, terminal)
}

function showSignals({ signals }: ReportedDevice, terminal: Terminal): void {
  if (signals.length === 0) return
  terminal.line('')
  const columns = ['ADDRESS', 'KIND', 'TYPE', 'ACCESS', 'UNIT'].map((title) => ({ title }))
  const rows = signals.map(({ address, kind, type, access, unit }) => [address, kind, type ?? '', access, unit ?? ''])
  for (const line of tableLines(terminal, columns, rows)) terminal.line(line)
}

function roundTripText(ms: number | undefined): string | undefined {
  // It is measured by what has to be confirmed; until then there is none.
  return ms === undefined || ms === 0 ? undefined : `${ms.toFixed(2)} ms`
}

function trafficText({ bytesIn, bytesOut, framesIn, framesOut, records }: ReportedDevice['counters']): string {
  const way = (bytes: number | undefined, frames: number | undefined) => {
    const texts = [
      frames === undefined ? '' : `${showCount(frames)} frames`,
      bytes === undefined ? '' : showBytes(bytes),
    ]
    return texts.filter((text) => text !== '').join(', ')
  }
  return `in ${way(bytesIn, framesIn)}; out ${way(bytesOut, framesOut)}; ${showCount(records ?? 0)} values and events`
}
