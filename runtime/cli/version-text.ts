/** Put in by the build. */
declare const CLASP_EDGE_VERSION: string

export const VERSION: string = CLASP_EDGE_VERSION
