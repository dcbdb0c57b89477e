/*
 * What clasp-io is told on standard input and tells on standard output, besides what all programs have; see framing.h.
 * Handles are chosen by the other side, 0…255. The types are also in devices/io/holder-messages.ts.
 *
 * | in | body |
 * |---|---|
 * | 02 list | – |
 * | 03 input | handle u16, chip text, consumer text, offset u32, flags u32, debounce us u32 |
 * | 04 output | handle u16, chip text, consumer text, offset u32, flags u32, on u8 (2 = high impedance,
 * |           | 3 = what it is if it is an output already, else off), safe u8 (off, on, hold, release), longest
 * |           | on ms u32, interlock u8 (0 none), reject u8, dead time ms u32 |
 * | 05 guard | handle u16, then for each of one or two files, in the order in which they are written: path text, safe text;
 * |          | again: other safe texts |
 * | 06 close | handle u16 |
 * | 07 set | handle u16, on u8 (2 = high impedance) |
 * | 08 read | handle u16 |
 * | 09 strobe | handle u16, us u16 |
 * | 0a pulses | handle u16, count u32, period us u32 |
 * | 0b resume | – |
 *
 * | out | body |
 * |---|---|
 * | 82 line | chip text, label text, offset u32, name text, consumer text |
 * | 83 listed | errno u32 |
 * | 84 opened | handle u16, on u8 |
 * | 85 failed | handle u16, errno u32 |
 * | 86 edge | handle u16, on u8, ns u64, sequence u32 |
 * | 87 level | handle u16, on u8 |
 * | 88 forced | handle u16, on u8, reason u8 (1 longest on, 2 watchdog, 3 interlock) |
 * | 89 time | ns u64: now, ahead of edges |
 * | 8a closed | handle u16 |
 * | 8b done | handle u16, made u32: the answer to every `pulses` of some; fewer than asked for when it was cut short |
 */
#ifndef MESSAGES_H
#define MESSAGES_H

#include "../../process/c/framing.h"

enum { VERSION = 3, HIGH_IMPEDANCE = 2, AS_IT_IS = 3 };
enum { IN_LIST = 2, IN_INPUT, IN_OUTPUT, IN_GUARD, IN_CLOSE, IN_SET, IN_READ, IN_STROBE, IN_PULSES, IN_RESUME };
enum {
  OUT_LINE = 0x82, OUT_LISTED, OUT_OPENED, OUT_FAILED, OUT_EDGE, OUT_LEVEL, OUT_FORCED, OUT_TIME, OUT_CLOSED, OUT_DONE
};

#endif
