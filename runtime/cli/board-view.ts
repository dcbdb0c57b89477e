import type { Board, Bus, Pin } from '../../boards/board.ts'
import { type BootConfig, readBootConfig } from '../../boards/boot-config.ts'
import { type BusState, busStates } from '../../boards/bus-states.ts'
import { type BusyLines, busyLines, lineKey } from '../../boards/busy-lines.ts'
import { chipNodes } from '../../boards/chip-nodes.ts'
import type { DeviceEntry } from '../../devices/device-entry.ts'
import { configuredLines } from './configured-lines.ts'
import { deviceNeeds, pinUsers } from './device-needs.ts'

/** A board and how it stands now. */
export interface BoardView {
  board: Board
  /** It is the one that was looked at; else only its data is known. */
  isHere: boolean
  /** Nodes of the GPIO chips by their ids. */
  chips: ReadonlyMap<string, string>
  buses: readonly BusState[]
  boot?: BootConfig
  /** Lines that somebody has, by `lineKey`; undefined when the kernel does not tell us. */
  busy?: BusyLines
  /** Lines that the configuration gives to a device, by `lineKey`, with the device's name. */
  configured: BusyLines
  /** Devices that the configuration has on a bus, by the name of the pin. */
  pinUsers: ReadonlyMap<string, readonly string[]>
}

/** Looks at the machine below `root`. `devices`: those of the configuration. */
export async function lookAtBoard(
  board: Board,
  root: string,
  devices: readonly DeviceEntry[] = [],
): Promise<BoardView> {
  const [chips, buses, boot, busy] = await Promise.all([
    chipNodes(board, root),
    busStates(board, root),
    readBootConfig(board, root),
    busyLines(board, root),
  ])
  const configured = configuredLines(devices, board, chips)
  const users = pinUsers(deviceNeeds(devices), buses)
  return { board, isHere: true, chips, buses, boot, busy, configured, pinUsers: users }
}

/** A board that is not here: its data without a state, with what devices would have of it. */
export function describedBoard(board: Board, devices: readonly DeviceEntry[] = []): BoardView {
  const chips = new Map<string, string>()
  const buses = board.buses.map((bus) => ({ bus, isOn: false, nodes: [] }))
  const configured = configuredLines(devices, board, chips)
  return { board, isHere: false, chips, buses, configured, pinUsers: pinUsers(deviceNeeds(devices), buses) }
}

/** What a pin can do besides being a line. */
export interface PinFunction {
  bus: Bus
  role: string
  isOn: boolean
}

export function pinFunctions({ buses }: BoardView, pin: Pin): PinFunction[] {
  return buses.flatMap(({ bus, isOn }) =>
    bus.pins.filter(([name]) => name === pin.name).map(([, role]) => ({ bus, role, isOn })),
  )
}

/** Who has the pin: devices of the configuration, on its line or its bus, whoever the kernel names, or a bus that is on. */
export function pinUser(view: BoardView, pin: Pin): string | undefined {
  if (pin.line === undefined) return undefined
  const keys = [pin.line, pin.otherLine].flatMap((line) => (line ? [lineKey(line.chip, line.offset)] : []))
  const functions = pinFunctions(view, pin)
  const onBus = view.pinUsers.get(pin.name)?.join(' ')
  const own = keys.map((key) => view.configured.get(key)).find((device) => device !== undefined)
  const other = keys.map((key) => view.busy?.get(key)).find((user) => user !== undefined)
  return own ?? onBus ?? other ?? functions.find(({ isOn }) => isOn)?.bus.name
}
