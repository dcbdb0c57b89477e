/** The YAML library, for those who load it when they need it: by way of a module, its names survive the bundling. */
export * as yaml from 'yaml'
