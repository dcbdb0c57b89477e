import type { TestContext } from 'node:test'
import { BridgeScene, type BridgeSceneOptions } from '../bridge-scene.ts'
import { freePort } from '../free-port.ts'
import { type Ask, ask, type Reply } from './web-request.ts'

/** A router with an http bridge `rest` at a port of its own; `more`: options of the bridge, behind a comma. */
export async function startHttp(t: TestContext, more = '', options: BridgeSceneOptions = {}) {
  const port = await freePort()
  const yaml = `- {id: rest, kind: http, listen: ${port}, host: 127.0.0.1${more}}`
  const scene = await BridgeScene.start(t, yaml, options)
  const go = (path: string, wanted?: Ask) => ask(port, path, wanted)
  return { port, scene, go }
}

export function errorOf({ json }: Reply): { code: string; message: string; address?: string } {
  return (json as { error: { code: string; message: string; address?: string } }).error
}
