import { build, ensureInstalled } from './prepare.mjs'

ensureInstalled()
await build()
