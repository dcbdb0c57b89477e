/*
 * What clasp-i2c is told on standard input and tells on standard output, besides what all programs have; see
 * process/c/framing.h. Transactions are answered in order. Addresses: 7 bits. Errors: numbers of the kernel, 0 = none,
 * EADDRINUSE: a driver of the kernel has the chip, ECANCELED: its guard has stepped in and nobody resumed since. The types
 * are also in devices/i2c/bus-messages.ts.
 *
 * | in | body |
 * |---|---|
 * | 02 transfer | address u8, bytes to read u16, bytes to write |
 * | 03 probe | address u8 |
 * | 04 guard | address u8, then each write: length u16, bytes; again: other writes |
 * | 05 unguard | address u8 |
 * | 06 resume | – |
 *
 * | out | body |
 * |---|---|
 * | 82 opened | errno u32; after an error the program ends |
 * | 83 done | errno u32, bytes that were read: answers transfer and probe |
 * | 84 guarded | errno u32: answers guard and unguard |
 * | 85 forced | address u8, errno u32: what was guarded was written, or not |
 */
#ifndef MESSAGES_H
#define MESSAGES_H

#include "../../process/c/framing.h"

enum { VERSION = 1 };
enum { IN_TRANSFER = 2, IN_PROBE, IN_GUARD, IN_UNGUARD, IN_RESUME };
enum { OUT_OPENED = 0x82, OUT_DONE, OUT_GUARDED, OUT_FORCED };

#endif
