import { join } from 'node:path'
import { detectBoard } from '../../../boards/detect.ts'
import { findConfig } from '../../config/find.ts'
import { DEFAULT_CONFIG_FILE } from '../../config/load.ts'
import { lookAtBoard } from '../board-view.ts'
import { CommandError, defineCommand } from '../command.ts'
import { deviceNeeds } from '../device-needs.ts'
import { runChecks } from '../doctor/checks.ts'
import { findingLines, summaryText } from '../doctor/findings-page.ts'
import { thisSystem } from '../doctor/live-system.ts'
import { SystemFiles } from '../doctor/system.ts'
import { findUser } from '../doctor/user.ts'
import { folderOption } from '../option-values.ts'
import { printable } from '../terminal.ts'

export const doctor = defineCommand({
  usage: '',
  args: [0, 0],
  details:
    'Looks for what keeps a board from doing its work: supply, heat, card, clock, permissions, overlays, lines that are\n' +
    'not there or that others have, the serial console, the journal’s folder, the port, missing packages. Says of each\n' +
    'finding what follows from it and what to type; changes nothing itself. Exit code 0: all is well, hints aside; 1:\n' +
    'something is to be done.',
  options: {
    json: { type: 'boolean', help: 'One object a check.' },
    config: { type: 'string', short: 'c', value: 'FILE', help: 'Configuration to check the machine for.' },
    user: { type: 'string', value: 'NAME', help: 'Whose permissions count. Default: as root clasp-edge, else you.' },
    root: {
      type: 'string',
      value: 'FOLDER',
      help: 'Look at the system below this folder, with its /proc and /sys.',
    },
  },
  examples: [
    ['doctor', 'is anything wrong?'],
    ['doctor --user clasp-edge', 'may the service open the devices?'],
  ],
  async run({ values, terminal }) {
    const files = new SystemFiles(await folderOption(values.root, '--root'))
    const [{ config }, board, user] = await Promise.all([
      findConfig(values.config, join(files.root, DEFAULT_CONFIG_FILE)),
      detectBoard(files.root),
      findUser(files, values.user),
    ])
    if (user === undefined) {
      throw new CommandError(`there is no user "${values.user}" on this system: make it, or name another with --user`)
    }
    const view = await lookAtBoard(board, files.root, config.devices)
    const needs = deviceNeeds(config.devices, config.simulate === 'auto' ? board.isSimulated : config.simulate)
    const live = values.root === undefined ? thisSystem() : undefined
    const results = await runChecks({ files, view, config, needs, user, live })
    if (values.json) for (const result of results) terminal.line(JSON.stringify(result))
    else {
      terminal.line(terminal.paint('bold', printable(board.model)))
      for (const line of findingLines(terminal, results)) terminal.line(line)
      terminal.line('')
      terminal.line(summaryText(results))
    }
    return results.some(({ findings }) => findings.some(({ severity }) => severity !== 'hint')) ? 1 : 0
  },
})
