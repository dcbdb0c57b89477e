import { access, readdir, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import type { Board, Bus, BusKind } from './board.ts'
import { enableWith, isAsked, readBootConfig } from './boot-config.ts'
import { sitsAt } from './chip-nodes.ts'

/** How a bus of the board stands now. */
export interface BusState {
  bus: Bus
  /** The kernel drives it, and it has its pins. */
  isOn: boolean
  /** What programs open: `/dev/i2c-1`, `/sys/class/pwm/pwmchip0`. May be empty although it is on. */
  nodes: string[]
}

/** Folder with a link for each device of a kind, and the node that belongs to the link's name, if any. */
const PLACES: Readonly<Record<BusKind, { folder: string; nodeOf(name: string): string | undefined }>> = {
  i2c: { folder: 'sys/bus/i2c/devices', nodeOf: (name) => (/^i2c-\d+$/.test(name) ? `/dev/${name}` : undefined) },
  spi: {
    folder: 'sys/bus/spi/devices',
    nodeOf: (name) => (/^spi\d+\.\d+$/.test(name) ? `/dev/spidev${name.slice(3)}` : undefined),
  },
  uart: { folder: 'sys/class/tty', nodeOf: (name) => (/^tty[A-Z]/.test(name) ? `/dev/${name}` : undefined) },
  pwm: { folder: 'sys/class/pwm', nodeOf: (name) => `/sys/class/pwm/${name}` },
  'one-wire': {
    folder: 'sys/bus/w1/devices',
    nodeOf: (name) => (name.startsWith('w1_bus_master') ? `/sys/bus/w1/devices/${name}` : undefined),
  },
}

interface Device {
  kind: BusKind
  /** In /sys. */
  path: string
  node: string
}

/** What the kernel has of the buses of a board. `root` stands for `/`. Never rejects. */
export async function busStates(board: Board, root = '/'): Promise<BusState[]> {
  const devices = (await Promise.all([...new Set(board.buses.map(({ kind }) => kind))].map(find))).flat()
  const boot = await readBootConfig(board, root)
  const asked = board.buses.filter((bus) => {
    const enable = boot && enableWith(boot, bus)
    return boot !== undefined && enable !== undefined && isAsked(boot, enable)
  })
  return Promise.all(board.buses.map(stateOf))

  async function find(kind: BusKind): Promise<Device[]> {
    const { folder, nodeOf } = PLACES[kind]
    const found: Device[] = []
    for (const name of await readdir(join(root, folder)).catch(() => [])) {
      const node = nodeOf(name)
      if (node === undefined) continue
      found.push({ kind, node, path: await realpath(join(root, folder, name)).catch(() => '') })
    }
    return found
  }

  async function stateOf(bus: Bus): Promise<BusState> {
    const isElsewhere = bus.needsLine === true && !asked.includes(bus)
    if (isElsewhere || asked.some(({ name }) => name === bus.yieldsTo)) return { bus, isOn: false, nodes: [] }
    const own = devices.filter(({ kind, path }) => kind === bus.kind && sitsAt(path, bus.address))
    // A kernel with another device tree may place the controller elsewhere; then the usual number has to do.
    const usual = devices.filter(
      ({ kind, node, path }) =>
        kind === bus.kind && node === bus.node && !board.buses.some(({ address }) => sitsAt(path, address)),
    )
    const found = own.length > 0 ? own : usual
    const areThere = await Promise.all(found.map(({ node }) => isThere(node)))
    return {
      bus,
      isOn: found.length > 0,
      nodes: found
        .map(({ node }) => node)
        .filter((_, i) => areThere[i])
        .sort(),
    }
  }

  function isThere(path: string): Promise<boolean> {
    return access(join(root, path)).then(
      () => true,
      () => false,
    )
  }
}
