import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { detectBoard } from '../../boards/detect.ts'

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
    ['Banana Thing\0', 'generic-linux'],
  ]) {
    it(`${model.replace('\0', '')} is ${id}, and nothing is simulated on it`, async () => {
      const board = await detect(model)
      assert.deepEqual([board.id, board.isSimulated], [id, false])
    })
  }

  it('of a computer without a device tree is simulated', async () => {
    assert.equal((await detect(undefined)).isSimulated, true)
  })
})
