import { rules } from '../routes/rule-field.ts'

/** Rules between addresses of the router; a reload replaces them. */
export const routes = rules('Rules that write the values of some addresses to others, changed on the way.', 'routes')
