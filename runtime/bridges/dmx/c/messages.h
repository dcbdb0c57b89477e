/*
 * What clasp-dmx is told on standard input and tells on standard output, besides what all programs have; see
 * devices/process/c/framing.h. Levels: 1 to 512 bytes, slot 1 first. Errors: numbers of the kernel. The types are also in
 * runtime/bridges/dmx/dmx-program-messages.ts.
 *
 * | in | body |
 * |---|---|
 * | 02 open | flags u8 (1 input, 2 RTS low, 4 RS-485 by the driver), then u32 in µs: period, break, mark behind it |
 * | 03 levels | levels, sent from the next frame on; the first ones start the sending |
 * | 04 last | levels to send at the end, and when the router has gone or hangs; none: nothing is sent then |
 *
 * | out | body |
 * |---|---|
 * | 82 opened | errno u32; after an error the program ends |
 * | 83 pace | since the last: frames u32, shortest, mean and longest time from break to break, µs u32 each |
 * | 84 failed | errno u32: the port is gone, the program ends |
 * | 85 silent | –: the router said nothing for too long, the last levels are sent, or nothing; new levels end it |
 * | 86 input | bytes as the kernel hands them over with PARMRK: FF 00 00 is a break, FF FF the byte FF |
 * | 87 no break | errno u32, once: the port cannot send breaks, so nobody will understand what it sends |
 * | 88 priority | u8: 2 real time, 1 above others, 0 as all others |
 */
#ifndef MESSAGES_H
#define MESSAGES_H

#include "../../../../devices/process/c/framing.h"

enum { VERSION = 1 };
enum { IN_OPEN = 2, IN_LEVELS, IN_LAST };
enum { OUT_OPENED = 0x82, OUT_PACE, OUT_FAILED, OUT_SILENT, OUT_INPUT, OUT_NO_BREAK, OUT_PRIORITY };

#endif
