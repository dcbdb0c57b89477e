/** Why the virtual machine cannot run here, with what to do; tells a machine that lacks something from a failed test. */
export class Unavailable extends Error {}
