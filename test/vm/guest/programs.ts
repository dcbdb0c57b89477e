import { dirname, join } from 'node:path'

/** Path of the bundle, or of a program of the product or of the tests. Copies of them are beside the bundled tests. */
export function programPath(name: string): string {
  return join(dirname(process.argv[1]), name)
}
