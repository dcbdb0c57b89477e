import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { compile, findCompiler } from '../../.scripts/native.mjs'

/** A struct of the kernel's interface by the offsets of its fields, little-endian. */
function struct(size: number, fields: readonly [at: number, type: 'u32' | 'u64' | 'text', value: number | string][]) {
  const bytes = Buffer.alloc(size)
  for (const [at, type, value] of fields) {
    if (type === 'text') bytes.write(String(value), at, 'latin1')
    else if (type === 'u32') bytes.writeUInt32LE(Number(value), at)
    else bytes.writeBigUInt64LE(BigInt(value), at)
  }
  return bytes.toString('hex')
}

test('requests for lines have the layout of the kernel, byte for byte', () => {
  const { path, reason } = compile('gpio-dump', ['test/devices/gpio-dump.c', 'devices/io/c/gpio_request.c'], [])
  assert.ok(path, reason)
  const { stdout } = spawnSync(path, { encoding: 'latin1' })
  const [input, output, released, releasedFirst, untouched] = stdout.split('\n')
  const config = 288
  // Offsets: bridges.md §20.4. Input, both edges, active low, pull-up, debounce 5000 µs for line 0 of the request.
  assert.equal(
    input,
    struct(592, [
      [0, 'u32', 17],
      [256, 'text', 'clasp:door'],
      [config, 'u64', 0x2 | 0x4 | 0x10 | 0x20 | 0x100],
      [config + 8, 'u32', 1],
      [config + 32, 'u32', 3],
      [config + 40, 'u64', 5000],
      [config + 48, 'u64', 1],
      [560, 'u32', 1],
      [564, 'u32', 1024],
    ]),
  )
  // Output, open drain, value 1 for line 0 of the request.
  assert.equal(
    output,
    struct(592, [
      [0, 'u32', 17],
      [256, 'text', 'clasp:door'],
      [config, 'u64', 0x8 | 0x40],
      [config + 8, 'u32', 1],
      [config + 32, 'u32', 2],
      [config + 40, 'u64', 1],
      [config + 48, 'u64', 1],
      [560, 'u32', 1],
    ]),
  )
  assert.equal(released, struct(272, [[0, 'u64', 0x4]]))
  // An output that begins with high impedance is an input without edges.
  assert.equal(
    releasedFirst,
    struct(592, [
      [0, 'u32', 17],
      [256, 'text', 'clasp:door'],
      [config, 'u64', 0x4],
      [560, 'u32', 1],
    ]),
  )
  // One that is taken over has neither direction until its level is known.
  assert.equal(
    untouched,
    struct(592, [
      [0, 'u32', 17],
      [256, 'text', 'clasp:door'],
      [config, 'u64', 0x2],
      [560, 'u32', 1],
    ]),
  )
})

test('the numbers are those of the kernel headers of this machine', (t) => {
  if (!existsSync('/usr/include/linux/gpio.h')) return t.skip('no kernel headers: apt install linux-libc-dev')
  const folder = mkdtempSync(join(tmpdir(), 'clasp-uapi-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const pairs = [
    ['GPIO_GET_CHIPINFO', 'GPIO_GET_CHIPINFO_IOCTL'],
    ['GPIO_GET_LINEINFO', 'GPIO_V2_GET_LINEINFO_IOCTL'],
    ['GPIO_GET_LINE', 'GPIO_V2_GET_LINE_IOCTL'],
    ['GPIO_SET_CONFIG', 'GPIO_V2_LINE_SET_CONFIG_IOCTL'],
    ['GPIO_GET_VALUES', 'GPIO_V2_LINE_GET_VALUES_IOCTL'],
    ['GPIO_SET_VALUES', 'GPIO_V2_LINE_SET_VALUES_IOCTL'],
    ['GPIO_PULL_DOWN', 'GPIO_V2_LINE_FLAG_BIAS_PULL_DOWN'],
    ['GPIO_BIAS_DISABLED', 'GPIO_V2_LINE_FLAG_BIAS_DISABLED'],
    ['GPIO_OPEN_SOURCE', 'GPIO_V2_LINE_FLAG_OPEN_SOURCE'],
    ['GPIO_ATTR_DEBOUNCE', 'GPIO_V2_LINE_ATTR_ID_DEBOUNCE'],
    ['GPIO_FALLING', 'GPIO_V2_LINE_EVENT_FALLING_EDGE'],
  ]
  const check = ([ours, kernel]: string[]) =>
    `if ((unsigned long long)${ours} != (unsigned long long)${kernel}) puts("${ours}");`
  const source = `#include <stdio.h>
#include <sys/ioctl.h>
#include <linux/gpio.h>
#include "${join(process.cwd(), 'devices/io/c/gpio_uapi.h')}"
int main(void) { ${pairs.map(check).join(' ')} return 0; }`
  writeFileSync(join(folder, 'same.c'), source)
  const program = join(folder, 'same')
  const built = spawnSync(String(findCompiler()), ['-o', program, join(folder, 'same.c')], { encoding: 'utf8' })
  assert.equal(built.status, 0, built.stderr)
  assert.equal(spawnSync(program, { encoding: 'utf8' }).stdout, '')
})
