/** `npm run torture`: the runs that are too long for `npm test`. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { root, run } from './prepare.mjs'

const env = {
  ...process.env,
  CLASP_FUZZ_FRAMES: process.env.CLASP_FUZZ_FRAMES ?? '2000000',
  CLASP_TEST_TIMEOUT_MS: '1800000',
  // Tests that try a part of their cases in `npm test` try all of them.
  CLASP_LONG: '1',
}
const tests = [
  'test/firmware-protocol/fuzz.test.ts',
  'test/firmware-protocol/link-fuzz.test.ts',
  'test/federation/hub-patterns.test.ts',
  'test/federation/proof-bad-hubs.test.ts',
  'test/federation/proof-hub-away.test.ts',
  'test/federation/proof-situations.test.ts',
  'test/firmware/c-library.test.ts',
  'test/firmware/hostile-devices.test.ts',
  'test/journal/file-damage.test.ts',
  'test/journal/review-wear.test.ts',
  'test/torture',
].filter((path) => existsSync(join(root, path)))
const script = (name) => join(root, '.scripts', name)
const codes = [
  run(process.execPath, [script('test.mjs'), ...tests], { env }),
  run(process.execPath, [script('torture-native.mjs')], { env }),
]
process.exit(codes.find((code) => code !== 0) ?? 0)
