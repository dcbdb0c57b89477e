/** `npm run footprint`: what the firmware library takes on microcontrollers, as a table for the documentation. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { LIBRARY, sizes } from './native.mjs'

export const targets = [
  {
    name: 'Cortex-M0+',
    prefix: 'arm-none-eabi-',
    flags: ['-mcpu=cortex-m0plus', '-mthumb'],
    install: 'gcc-arm-none-eabi',
  },
  { name: 'Cortex-M4', prefix: 'arm-none-eabi-', flags: ['-mcpu=cortex-m4', '-mthumb'], install: 'gcc-arm-none-eabi' },
  { name: 'AVR ATmega328P', prefix: 'avr-', flags: ['-mmcu=atmega328p'], install: 'gcc-avr avr-libc' },
]

const SMALLEST = { SIGNALS: 4, WINDOW: 1, EVENTS: 2, SUBSCRIPTIONS: 0, SAMPLING: 0, BUNDLES: 0, TIME: 0 }
const DATAGRAM = { MRU: 128, MTU: 128, DATAGRAM: 1 }

export const configurations = [
  { name: 'default (16 signals, 64-byte frames, window 2)', sizes: {} },
  { name: 'smallest (4 signals, 64-byte frames, window 1, no extras)', sizes: SMALLEST },
  { name: 'default + 64-bit signals', sizes: { '64BIT': 1 } },
  { name: 'default + datagrams of 128 bytes', sizes: DATAGRAM },
  { name: 'default + signed datagrams of 128 bytes', sizes: { ...DATAGRAM, AUTH: 1 } },
]

/** Null where the compiler is there, else what to install. */
export function missing({ prefix, install }) {
  return spawnSync(`${prefix}gcc`, ['--version'], { stdio: 'ignore' }).status === 0 ? null : `apt install ${install}`
}

function run(command, args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}:\n${error?.message ?? stderr}`)
  return stdout
}

/**
 * Bytes: `flash` is code and constants; `static` is RAM besides the `clasp_link` (none is wanted); the `clasp_link`
 * takes `total`, of which `buffers` hold frames and `signals` what is kept for each signal; `stack` is the deepest chain
 * of calls within the library, undefined where the compiler cannot tell.
 */
export function measure(target, { sizes: values }) {
  mkdirSync('dist', { recursive: true })
  const folder = mkdtempSync(join('dist', 'footprint-'))
  try {
    const flags = ['-std=c99', '-Os', ...target.flags, ...sizes(values), `-I${LIBRARY}`, '-c']
    const object = join(folder, 'link.o')
    run(`${target.prefix}gcc`, [...flags, '-o', object, `${LIBRARY}/clasp_link.c`])
    const sections = run(`${target.prefix}size`, ['-A', object])
    const isAvr = target.prefix === 'avr-'
    const sum = (pattern) =>
      [...sections.matchAll(/^(\.\S+)\s+(\d+)/gm)].reduce(
        (all, [, name, size]) => all + (pattern.test(name) ? +size : 0),
        0,
      )
    const probe = join(folder, 'probe.c')
    writeFileSync(probe, PROBE)
    run(`${target.prefix}gcc`, [...flags, '-o', join(folder, 'probe.o'), probe])
    const table = run(`${target.prefix}nm`, ['-S', join(folder, 'probe.o')])
    const of = (name) => Number.parseInt(new RegExp(`^\\S+ (\\S+) . ${name}$`, 'm').exec(table)?.[1] ?? '', 16)
    return {
      flash: sum(/^\.(text|rodata|progmem|data)/),
      // Constants that are not in flash of their own are copied into RAM on AVR.
      static: sum(isAvr ? /^\.(data|bss|rodata)/ : /^\.(data|bss)/),
      total: of('total'),
      buffers: of('buffers'),
      signals: of('signals'),
      stack: deepestStack(target, flags, folder),
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const PROBE = `
#include "clasp_link.h"
#define SIZE(member) sizeof(((clasp_link *)0)->member)
char total[sizeof(clasp_link)] = {1};
char buffers[SIZE(in) + SIZE(out) + SIZE(window)] = {1};
char signals[SIZE(slots)] = {1};
`

/** From the call graph that newer gccs write; callbacks and the compiler's own functions are not in it. */
function deepestStack(target, flags, folder) {
  const args = [...flags, '-fcallgraph-info=su', '-o', join(folder, 'stack.o'), `${LIBRARY}/clasp_link.c`]
  if (spawnSync(`${target.prefix}gcc`, args).status !== 0) return undefined
  const graph = readFileSync(join(folder, 'stack.ci'), 'utf8')
  const own = new Map()
  for (const [, name, label] of graph.matchAll(/node: \{ title: "([^"]+)" label: "([^"]+)"/g)) {
    own.set(name, Number(/(\d+) bytes/.exec(label)?.[1] ?? 0))
  }
  const calls = new Map()
  for (const [, from, to] of graph.matchAll(/sourcename: "([^"]+)" targetname: "([^"]+)"/g)) {
    calls.set(from, [...(calls.get(from) ?? []), to])
  }
  const depths = new Map()
  const depth = (name) => {
    if (!depths.has(name)) {
      depths.set(name, 0)
      depths.set(name, (own.get(name) ?? 0) + Math.max(0, ...(calls.get(name) ?? []).map(depth)))
    }
    return depths.get(name)
  }
  return Math.max(...[...own.keys()].map(depth))
}

function print() {
  console.log('| Target | Configuration | Code and constants | RAM: frames | RAM: signals | RAM: the rest | Stack |')
  console.log('|---|---|---|---|---|---|---|')
  for (const target of targets) {
    const problem = missing(target)
    if (problem !== null) {
      console.log(`| ${target.name} | not measured: ${problem} | | | | | |`)
      continue
    }
    for (const configuration of configurations) {
      const { flash, total, buffers, signals, stack, static: statics } = measure(target, configuration)
      const rest = total - buffers - signals + statics
      const cells = [target.name, configuration.name, flash, buffers, signals, rest, stack ?? '–']
      console.log(`| ${cells.join(' | ')} |`)
    }
  }
}

// Also when it is bundled into a test, nothing is printed there.
if (basename(process.argv[1] ?? '') === 'footprint.mjs') print()
