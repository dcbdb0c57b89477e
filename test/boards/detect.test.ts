import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { detectBoard } from '../../boards/detect.ts'
import { fakeFiles } from './fake-files.ts'

describe('the board', () => {
  const detect = async (model: string | undefined) => {
    const root = mkdtempSync(join(tmpdir(), 'clasp-edge-board-'))
    try {
      if (model !== undefined) {
        mkdirSync(join(root, 'proc/device-tree'), { recursive: true })
        writeFileSync(join(root, 'proc/device-tree/model'), model)
      }
      return await detectBoard(root)
    } finally {
      rmSync(root, { recursive: true })
    }
  }

  for (const [model, id] of [
    ['Raspberry Pi 4 Model B Rev 1.5\0', 'raspberry-pi-4'],
    ['Raspberry Pi 400 Rev 1.0\0', 'raspberry-pi-400'],
    ['Raspberry Pi 5 Model B Rev 1.0\0', 'raspberry-pi-5'],
    ['Raspberry Pi Zero 2 W Rev 1.0\0', 'raspberry-pi-zero-2'],
    ['Raspberry Pi 3 Model B Plus Rev 1.3\0', 'raspberry-pi-3'],
    ['Raspberry Pi Compute Module 4 Rev 1.1\0', 'raspberry-pi-cm-4'],
    ['Raspberry Pi Compute Module 4S Rev 1.0\0', 'raspberry-pi-cm-4s'],
    ['Raspberry Pi 500 Rev 1.0\0', 'raspberry-pi-500'],
    ['Raspberry Pi 2 Model B Rev 1.1\0', 'raspberry-pi-2'],
    ['TI AM335x BeagleBone Black\0', 'beaglebone-black'],
    ['OrangePi Zero 2W\0', 'orange-pi-zero-2w'],
    ['Radxa ROCK Pi 4B\0', 'rock-4'],
    ['Banana Thing\0', 'generic-linux'],
  ]) {
    it(`${model.replace('\0', '')} is ${id}, and nothing is simulated on it`, async () => {
      const board = await detect(model)
      assert.deepEqual([board.id, board.isSimulated], [id, false])
    })
  }

  it('is known by what it is compatible with when its model says nothing', async (t) => {
    const root = fakeFiles(t, {
      'sys/firmware/devicetree/base/compatible': 'radxa,rockpi4b\0radxa,rockpi4\0rockchip,rk3399\0',
    })
    assert.equal((await detectBoard(root)).id, 'rock-4')
    const other = fakeFiles(t, { 'proc/device-tree/compatible': 'acme,gadget\0' })
    const board = await detectBoard(other)
    assert.deepEqual([board.id, board.model], ['generic-linux', 'acme,gadget'])
  })

  it('of a computer without a device tree is simulated', async () => {
    assert.equal((await detect(undefined)).isSimulated, true)
  })
})
