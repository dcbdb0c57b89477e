import { join } from 'node:path'
import { boardById, boardIds, detectBoard } from '../../../boards/detect.ts'
import type { DeviceEntry } from '../../../devices/device-entry.ts'
import { findConfig } from '../../config/find.ts'
import { DEFAULT_CONFIG_FILE } from '../../config/load.ts'
import { nearest } from '../../config/nearest.ts'
import { ConfigError } from '../../config/problem.ts'
import { boardJson, boardLines } from '../board-page.ts'
import { type BoardView, describedBoard, lookAtBoard } from '../board-view.ts'
import { defineCommand, UsageError } from '../command.ts'
import { folderOption } from '../option-values.ts'
import type { Terminal } from '../terminal.ts'

export const board = defineCommand({
  usage: '',
  args: [0, 0],
  details:
    'Shows the pins of this board as they lie on it: the name of each line, the buses that can have it, and who has it\n' +
    'now: a device of the configuration, a bus, a program. Then the buses with what switches each on, LEDs, watchdog,\n' +
    'and what is good to know about the board. Which programs have lines, only root can see.',
  options: {
    json: { type: 'boolean', help: 'Everything as one JSON object.' },
    board: { type: 'string', value: 'NAME', help: 'The data of another board: raspberry-pi-5, beaglebone-black, …' },
    config: { type: 'string', short: 'c', value: 'FILE', help: 'Configuration whose devices are shown.' },
    root: {
      type: 'string',
      value: 'FOLDER',
      help: 'Look at the system below this folder, with its /proc and /sys.',
    },
  },
  examples: [
    ['board', 'where is GPIO17, and is it free?'],
    ['board --board raspberry-pi-5', 'the pins of a board that is not here'],
  ],
  async run({ values, terminal }) {
    const root = await folderOption(values.root, '--root')
    const devices = await configuredDevices(values.config, root, terminal)
    // The configuration of this machine is not that of another board, unless it is named.
    const view = await viewOf(values.board, root, devices, values.config === undefined ? [] : devices)
    if (values.json) terminal.line(boardJson(view))
    else for (const line of boardLines(terminal, view)) terminal.line(line)
    return 0
  },
})

async function viewOf(
  id: string | undefined,
  root: string,
  devices: readonly DeviceEntry[],
  planned: readonly DeviceEntry[],
): Promise<BoardView> {
  const here = await detectBoard(root)
  if (id === undefined || id === here.id) return lookAtBoard(here, root, devices)
  const known = boardById(id)
  if (known !== undefined) return describedBoard(known, planned)
  const near = nearest(id, boardIds())
  throw new UsageError(
    `--board: there is no "${id}"${near === undefined ? '' : `, did you mean "${near}"?`} (${boardIds().join(', ')})`,
  )
}

/** A configuration that cannot be used does not hide the board. */
async function configuredDevices(
  file: string | undefined,
  root: string,
  terminal: Terminal,
): Promise<readonly DeviceEntry[]> {
  try {
    return (await findConfig(file, join(root, DEFAULT_CONFIG_FILE))).config.devices
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    terminal.note(`without the devices of ${error.file}, which cannot be used: clasp-edge check ${error.file}`)
    return []
  }
}
