import assert from 'node:assert/strict'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Line } from '../line/line.ts'
import { until } from '../until.ts'
import { cli, folderWith, QUIET, RunningCommand, startRouter } from './run-cli.ts'

/** Writes down how it was called; ends as FAKE_CODE says, or waits to be told to. */
const FAKE_TOOL = `#!/bin/sh
echo "$0" "$@" >> "$FAKE_CALLS"
echo "fake tool at work"
if [ -n "$FAKE_WAITS" ]; then read -r _ < "$FAKE_WAITS"; fi
exit "\${FAKE_CODE:-0}"
`

/** Of an ELF header: magic, and e_machine at 18. */
function elf(machine: number): Buffer {
  const head = Buffer.alloc(64)
  head.write('\x7fELF', 'latin1')
  head.writeUInt16LE(machine, 18)
  return head
}

/** Of an image for the ESP family; an application has its description at 32. */
function espImage(isApplication: boolean): Buffer {
  const head = Buffer.alloc(64)
  head[0] = 0xe9
  if (isApplication) head.writeUInt32LE(0xabcd5432, 32)
  return head
}

const FILES = {
  'blink.hex': ':00000001FF\n',
  'avr.elf': elf(83),
  'xtensa.elf': elf(94),
  'arm.elf': elf(40),
  'strange.elf': elf(62),
  'app.bin': espImage(true),
  'merged.bin': espImage(false),
  'plain.bin': Buffer.alloc(64),
  'pico.uf2': 'UF2\nand so on',
  'not.hex': 'hello',
  'not.uf2': 'hello',
  'notes.txt': 'hello',
}

/** A port, files to flash, and the tools that are said to be installed. */
async function workshop(t: TestContext, tools: readonly string[] = ['avrdude', 'esptool', 'picotool']) {
  const folder = await folderWith(t)
  const line = await Line.open({ a: join(folder, 'port'), b: join(folder, 'board') }, t)
  for (const [name, content] of Object.entries(FILES)) await writeFile(join(folder, name), content)
  await mkdir(join(folder, 'bin'))
  for (const tool of tools) {
    const path = join(folder, 'bin', tool)
    await writeFile(path, FAKE_TOOL)
    await chmod(path, 0o755)
  }
  const calls = join(folder, 'calls')
  await writeFile(calls, '')
  const env = { PATH: join(folder, 'bin'), FAKE_CALLS: calls, CLASP_URL: 'ws://127.0.0.1:1' }
  return {
    folder,
    line,
    env,
    /** Runs it on the port; what the tools were told, with the folder taken out. */
    async flash(file: string, args: readonly string[] = [], more: Record<string, string> = {}) {
      await writeFile(calls, '')
      const command = ['firmware', 'flash', line.a, join(folder, file), ...args]
      const outcome = await cli(command, { env: { ...env, ...more } })
      const called = (await readFile(calls, 'utf8')).replaceAll(`${folder}/`, '')
      return { ...outcome, calls: called.split('\n').slice(0, -1) }
    },
  }
}

test('the file and the board decide which tool runs, and how', async (t) => {
  const { flash } = await workshop(t)
  const cases: [file: string, args: string[], calls: RegExp[]][] = [
    [
      'blink.hex',
      ['--board', 'uno'],
      [/^bin\/avrdude -p atmega328p -c arduino -b 115200 -D -P port -U flash:w:blink\.hex:i$/],
    ],
    ['blink.hex', ['-b', 'nano-old'], [/^bin\/avrdude -p atmega328p -c arduino -b 57600 -D /]],
    ['avr.elf', ['-b', 'mega'], [/^bin\/avrdude -p atmega2560 -c wiring .* -U flash:w:avr\.elf:e$/]],
    [
      'blink.hex',
      ['--', '-p', 'm32u4', '-c', 'avr109'],
      [/^bin\/avrdude -P port -p m32u4 -c avr109 -U flash:w:blink\.hex:i$/],
    ],
    ['app.bin', [], [/^bin\/esptool --port port --baud 460800 write_flash 0x10000 app\.bin$/]],
    [
      'merged.bin',
      ['--board', 'esp32s3'],
      [/^bin\/esptool --chip esp32s3 --port port .* write_flash 0x0 merged\.bin$/],
    ],
    ['app.bin', ['--', '--flash_size', '4MB'], [/ write_flash --flash_size 4MB 0x10000 app\.bin$/]],
    [
      'xtensa.elf',
      ['--board', 'esp32'],
      [
        /^bin\/esptool --chip esp32 elf2image -o .*xtensa\.elf\.bin xtensa\.elf$/,
        /write_flash 0x10000 .*xtensa\.elf\.bin$/,
      ],
    ],
    ['pico.uf2', [], [/^bin\/picotool load -x pico\.uf2 -f$/]],
    ['arm.elf', [], [/^bin\/picotool load -x arm\.elf -f$/]],
    ['plain.bin', ['--board', 'pico'], [/^bin\/picotool load -x plain\.bin -f$/]],
    ['plain.bin', ['--tool', 'esptool'], [/write_flash 0x0 plain\.bin$/]],
  ]
  for (const [file, args, expected] of cases) {
    const { code, stdout, stderr, calls } = await flash(file, args)
    const name = [file, ...args].join(' ')
    assert.equal(code, 0, `${name}: ${stderr}`)
    assert.equal(calls.length, expected.length, name)
    for (const [i, pattern] of expected.entries()) assert.match(calls[i], pattern, name)
    assert.match(stderr, /bin\/\w+ .*port|bin\/picotool load/, 'it says what it runs')
    assert.match(stdout, /fake tool at work/, 'what the tool says is shown')
  }
})

test('what cannot be flashed is refused before any tool runs', async (t) => {
  const { flash } = await workshop(t)
  const cases: [file: string, args: string[], code: number, text: RegExp][] = [
    ['none.hex', [], 1, /none\.hex cannot be read \(ENOENT\): check the path/],
    ['not.hex', [], 1, /is not in Intel's HEX format/],
    ['not.uf2', [], 1, /is not a UF2 file/],
    ['notes.txt', [], 1, /expected \.hex, \.bin, \.elf or \.uf2/],
    ['blink.hex', [], 2, /what board is it\? say --board uno\|nano\|nano-old\|mega, or give avrdude its own arguments/],
    ['plain.bin', [], 2, /what board is it\? say --board \(uno, .*\) or --tool/],
    ['strange.elf', [], 2, /what board is it\?/],
    ['xtensa.elf', [], 2, /what chip is it\? say --board esp32/],
    ['xtensa.elf', ['--board', 'esp8266'], 2, /an ELF file for the ESP8266 is several images/],
    ['blink.hex', ['--board', 'unno'], 2, /--board: "unno" is not known: did you mean "uno"\?/],
    ['blink.hex', ['--tool', 'avrdud'], 2, /did you mean "avrdude"\?/],
    ['blink.hex', ['--tool', 'copy'], 2, /only a \.uf2 file can be copied/],
  ]
  for (const [file, args, code, text] of cases) {
    const outcome = await flash(file, args)
    const name = [file, ...args].join(' ')
    assert.deepEqual([outcome.code, outcome.calls], [code, []], name)
    assert.match(outcome.stderr, text, name)
    assert.doesNotMatch(outcome.stderr, / {4}at /, name)
  }
})

test('a tool that is missing is named with how to get it', async (t) => {
  const { flash } = await workshop(t, ['esptool.py'])
  const avr = await flash('blink.hex', ['-b', 'uno'])
  assert.deepEqual(
    [avr.code, avr.stderr],
    [1, 'clasp-edge firmware flash: avrdude is not installed: sudo apt install avrdude\n'],
  )
  const pico = await flash('arm.elf')
  assert.match(pico.stderr, /picotool is not installed: sudo apt install picotool/)
  assert.equal((await flash('app.bin')).code, 0, 'the older name of the program counts as well')
})

test('a tool that fails ends the command with 1 and a hint', async (t) => {
  const { flash } = await workshop(t)
  const { code, stderr } = await flash('blink.hex', ['-b', 'uno'], { FAKE_CODE: '3' })
  assert.equal(code, 1)
  assert.match(stderr, /clasp-edge firmware flash: avrdude ended with exit code 3: its own lines above tell why/)
  const chip = await flash('xtensa.elf', ['-b', 'esp32'], { FAKE_CODE: '2' })
  assert.equal(chip.calls.length, 1, 'what was not made is not flashed')
})

test('SIGTERM ends the tool as well, and what that means is said', async (t) => {
  const { folder, line, env } = await workshop(t)
  const waits = join(folder, 'waits')
  // Nobody writes into it: a pipe that stays silent.
  const pipe = await Line.open({ a: waits, b: join(folder, 'other') }, t)
  const flash = new RunningCommand(['firmware', 'flash', line.a, join(folder, 'blink.hex'), '-b', 'uno'], {
    env: { ...env, FAKE_WAITS: pipe.a },
  })
  await flash.printed(/fake tool at work/)
  flash.child.kill('SIGTERM')
  const { code, stderr } = await flash.exited
  assert.equal(code, 1)
  assert.match(stderr, /stopped: the board may have half of its firmware: flash it again/)
})

test('a UF2 file is copied onto the drive of the boot loader', async (t) => {
  const { folder, flash } = await workshop(t, [])
  const drive = join(folder, 'RPI-RP2')
  await mkdir(drive)
  const wrong = await flash('pico.uf2', ['--drive', drive])
  assert.deepEqual([wrong.code, wrong.calls], [1, []])
  assert.match(wrong.stderr, /is not the drive of a boot loader: it has no INFO_UF2\.TXT/)
  await writeFile(join(drive, 'INFO_UF2.TXT'), 'UF2 Bootloader v3.0\n')
  const right = await flash('pico.uf2', ['--drive', drive])
  assert.deepEqual([right.code, right.stdout], [0, 'done: the board starts by itself\n'])
  assert.equal(await readFile(join(drive, 'pico.uf2'), 'utf8'), FILES['pico.uf2'])
  const none = await flash('pico.uf2')
  assert.equal(none.code, 1)
  assert.match(none.stderr, /there is no picotool and no drive of a boot loader: hold BOOTSEL/)
})

test('a port that somebody has is not flashed', async (t) => {
  const { line, flash } = await workshop(t)
  const router = await startRouter(t, `${QUIET}firmware: {serial: [{port: ${line.a}}]}\n`)
  await router.printed(/serial port open/, 'stderr')
  const held = await flash('blink.hex', ['-b', 'uno', '-u', router.url])
  assert.deepEqual([held.code, held.calls], [1, []])
  assert.match(held.stderr, /the router at 127\.0\.0\.1:\d+ has .*port open: stop it .* flash again, and start it/)
  const unasked = await flash('blink.hex', ['-b', 'uno'])
  assert.deepEqual([unasked.code, unasked.calls], [1, []])
  assert.match(unasked.stderr, new RegExp(`is in use by .*\\(pid ${router.child.pid}\\): stop it and try again`))
  router.child.kill('SIGINT')
  await until(() => router.child.exitCode !== null, 'end of the router')
  assert.equal((await flash('blink.hex', ['-b', 'uno'])).code, 0)
})
