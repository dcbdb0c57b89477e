/**
 * Names of keys and axes, as the kernel has them. A row: what its names begin with, the code of the first one, and the
 * names in order of their codes; a dot has none. Source: include/uapi/linux/input-event-codes.h of Linux.
 */
const KEYS: readonly (readonly [prefix: string, first: number, names: string])[] = [
  [
    'KEY_',
    0x0,
    `RESERVED ESC 1 2 3 4 5 6 7 8 9 0 MINUS EQUAL BACKSPACE TAB Q W E R T Y U I O P LEFTBRACE RIGHTBRACE ENTER
     LEFTCTRL A S D F G H J K L SEMICOLON APOSTROPHE GRAVE LEFTSHIFT BACKSLASH Z X C V B N M COMMA DOT SLASH
     RIGHTSHIFT KPASTERISK LEFTALT SPACE CAPSLOCK F1 F2 F3 F4 F5 F6 F7 F8 F9 F10 NUMLOCK SCROLLLOCK KP7 KP8 KP9
     KPMINUS KP4 KP5 KP6 KPPLUS KP1 KP2 KP3 KP0 KPDOT . ZENKAKUHANKAKU 102ND F11 F12 RO KATAKANA HIRAGANA HENKAN
     KATAKANAHIRAGANA MUHENKAN KPJPCOMMA KPENTER RIGHTCTRL KPSLASH SYSRQ RIGHTALT LINEFEED HOME UP PAGEUP LEFT RIGHT
     END DOWN PAGEDOWN INSERT DELETE MACRO MUTE VOLUMEDOWN VOLUMEUP POWER KPEQUAL KPPLUSMINUS PAUSE SCALE KPCOMMA
     HANGEUL HANJA YEN LEFTMETA RIGHTMETA COMPOSE`,
  ],
  [
    'KEY_',
    0x80,
    `STOP AGAIN PROPS UNDO FRONT COPY OPEN PASTE FIND CUT HELP MENU CALC SETUP SLEEP WAKEUP FILE SENDFILE DELETEFILE
     XFER PROG1 PROG2 WWW MSDOS COFFEE ROTATE_DISPLAY CYCLEWINDOWS MAIL BOOKMARKS COMPUTER BACK FORWARD CLOSECD
     EJECTCD EJECTCLOSECD NEXTSONG PLAYPAUSE PREVIOUSSONG STOPCD RECORD REWIND PHONE ISO CONFIG HOMEPAGE REFRESH
     EXIT MOVE EDIT SCROLLUP SCROLLDOWN KPLEFTPAREN KPRIGHTPAREN NEW REDO F13 F14 F15 F16 F17 F18 F19 F20 F21 F22
     F23 F24 . . . . . PLAYCD PAUSECD PROG3 PROG4 ALL_APPLICATIONS SUSPEND CLOSE PLAY FASTFORWARD BASSBOOST PRINT HP
     CAMERA SOUND QUESTION EMAIL CHAT SEARCH CONNECT FINANCE SPORT SHOP ALTERASE CANCEL BRIGHTNESSDOWN BRIGHTNESSUP
     MEDIA SWITCHVIDEOMODE KBDILLUMTOGGLE KBDILLUMDOWN KBDILLUMUP SEND REPLY FORWARDMAIL SAVE DOCUMENTS BATTERY
     BLUETOOTH WLAN UWB UNKNOWN VIDEO_NEXT VIDEO_PREV BRIGHTNESS_CYCLE BRIGHTNESS_AUTO DISPLAY_OFF WWAN RFKILL
     MICMUTE`,
  ],
  ['BTN_', 0x100, `0 1 2 3 4 5 6 7 8 9 . . . . . . LEFT RIGHT MIDDLE SIDE EXTRA FORWARD BACK TASK`],
  ['BTN_', 0x120, `TRIGGER THUMB THUMB2 TOP TOP2 PINKIE BASE BASE2 BASE3 BASE4 BASE5 BASE6 . . . DEAD`],
  ['BTN_', 0x130, `SOUTH EAST C NORTH WEST Z TL TR TL2 TR2 SELECT START MODE THUMBL THUMBR`],
  [
    'KEY_',
    0x160,
    `OK SELECT GOTO CLEAR POWER2 OPTION INFO TIME VENDOR ARCHIVE PROGRAM CHANNEL FAVORITES EPG PVR MHP LANGUAGE
     TITLE SUBTITLE ANGLE FULL_SCREEN MODE KEYBOARD ASPECT_RATIO PC TV TV2 VCR VCR2 SAT SAT2 CD TAPE RADIO TUNER
     PLAYER TEXT DVD AUX MP3 AUDIO VIDEO DIRECTORY LIST MEMO CALENDAR RED GREEN YELLOW BLUE CHANNELUP CHANNELDOWN
     FIRST LAST AB NEXT RESTART SLOW SHUFFLE BREAK PREVIOUS DIGITS`,
  ],
  [
    'KEY_',
    0x200,
    `NUMERIC_0 NUMERIC_1 NUMERIC_2 NUMERIC_3 NUMERIC_4 NUMERIC_5 NUMERIC_6 NUMERIC_7 NUMERIC_8 NUMERIC_9
     NUMERIC_STAR NUMERIC_POUND NUMERIC_A NUMERIC_B NUMERIC_C NUMERIC_D`,
  ],
  ['BTN_', 0x220, `DPAD_UP DPAD_DOWN DPAD_LEFT DPAD_RIGHT`],
]
const AXES = `X Y Z RX RY RZ THROTTLE RUDDER WHEEL GAS BRAKE . . . . . HAT0X HAT0Y HAT1X HAT1Y HAT2X HAT2Y HAT3X HAT3Y`
/** Buttons that have nothing but a number, from 1 on. */
const NUMBERED = { prefix: 'BTN_TRIGGER_HAPPY', first: 0x2c0, count: 40 }
const MOST_KEYS = 0x300

/** `KEY_KP1`; `code_600` of keys that these tables do not have. */
export function keyName(code: number): string {
  for (const [prefix, first, names] of KEYS) {
    const name = code < first ? undefined : words(names)[code - first]
    if (name !== undefined && name !== '.') return prefix + name
  }
  const number = code - NUMBERED.first
  return number >= 0 && number < NUMBERED.count ? `${NUMBERED.prefix}${number + 1}` : `code_${code}`
}

/** Of `KEY_KP1`, also as `kp1`; undefined: no key is called so. */
export function keyCode(name: string): number | undefined {
  const upper = name.toUpperCase()
  for (const [prefix, first, names] of KEYS) {
    const at = words(names).findIndex(
      (one) => one !== '.' && (prefix + one === upper || `KEY_${upper}` === prefix + one),
    )
    if (at >= 0) return first + at
  }
  const [, code] = /^code_(\d{1,3})$/i.exec(name) ?? []
  if (code !== undefined) return Number(code) < MOST_KEYS ? Number(code) : undefined
  const number = upper.startsWith(NUMBERED.prefix) ? Number(upper.slice(NUMBERED.prefix.length)) : 0
  return number >= 1 && number <= NUMBERED.count ? NUMBERED.first + number - 1 : undefined
}

/** Of `ABS_X`, also as `x`; undefined: no axis is called so. */
export function axisCode(name: string): number | undefined {
  const wanted = name.toUpperCase().replace(/^ABS_/, '')
  const code = wanted === '.' ? -1 : words(AXES).indexOf(wanted)
  return code >= 0 ? code : undefined
}

function words(names: string): string[] {
  return names.split(/\s+/)
}
