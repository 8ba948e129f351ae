"""The LX6's instructions, decoded from machine code by a table of bit patterns.

Source of the encodings: Xtensa Instruction Set Architecture reference manual, chapter 8. Left out is what no compiler
makes of C: MAC16, and the instructions for caches and for double precision.
"""

from dataclasses import dataclass
from functools import cached_property

from mgbuild.errors import UserError

# A line: mnemonic, pattern, register operands in the assembler's order.
# Pattern: bits 23 to 0, of a two-byte instruction 15 to 0. Digits are fixed; r, s, t are fields, i is an immediate and
# j its upper part; x stands for bits that do not matter here.
# Operands: a (integer), f (float) or b (boolean) and the field; "=" before one that is set, "+" before one that is read
# and set.
_TABLE = """
ill         000000000000000000000000
ret         000000000000000010000000
retw        000000000000000010010000
jx          000000000000ssss10100000  as
callx0      000000000000ssss11000000  as
callx4      000000000000ssss11010000  as
callx8      000000000000ssss11100000  as
callx12     000000000000ssss11110000  as
movsp       000000000001sssstttt0000  =at as
isync       000000000010000000000000
rsync       000000000010000000010000
esync       000000000010000000100000
dsync       000000000010000000110000
excw        000000000010000010000000
memw        000000000010000011000000
extw        000000000010000011010000
nop         000000000010000011110000
rfe         000000000011000000000000
rfue        000000000011000100000000
rfde        000000000011001000000000
rfwo        000000000011010000000000
rfwu        000000000011010100000000
rfi         000000000011xxxx00010000
break       000000000100xxxxxxxx0000
syscall     000000000101000000000000
simcall     000000000101000100000000
rsil        000000000110xxxxtttt0000  =at
waiti       000000000111xxxx00000000
any4        000000001000sssstttt0000  =bt bs
all4        000000001001sssstttt0000  =bt bs
any8        000000001010sssstttt0000  =bt bs
all8        000000001011sssstttt0000  =bt bs
and         00010000rrrrsssstttt0000  =ar as at
or          00100000rrrrsssstttt0000  =ar as at
xor         00110000rrrrsssstttt0000  =ar as at
ssr         010000000000ssss00000000  as
ssl         010000000001ssss00000000  as
ssa8l       010000000010ssss00000000  as
ssa8b       010000000011ssss00000000  as
ssai        010000000100xxxx000x0000
rer         010000000110sssstttt0000  =at as
wer         010000000111sssstttt0000  at as
rotw        0100000010000000xxxx0000
nsa         010000001110sssstttt0000  =at as
nsau        010000001111sssstttt0000  =at as
ritlb0      010100000011sssstttt0000  =at as
iitlb       010100000100ssss00000000  as
pitlb       010100000101sssstttt0000  =at as
witlb       010100000110sssstttt0000  at as
ritlb1      010100000111sssstttt0000  =at as
rdtlb0      010100001011sssstttt0000  =at as
idtlb       010100001100ssss00000000  as
pdtlb       010100001101sssstttt0000  =at as
wdtlb       010100001110sssstttt0000  at as
rdtlb1      010100001111sssstttt0000  =at as
neg         01100000rrrr0000tttt0000  =ar at
abs         01100000rrrr0001tttt0000  =ar at
add         10000000rrrrsssstttt0000  =ar as at
addx2       10010000rrrrsssstttt0000  =ar as at
addx4       10100000rrrrsssstttt0000  =ar as at
addx8       10110000rrrrsssstttt0000  =ar as at
sub         11000000rrrrsssstttt0000  =ar as at
subx2       11010000rrrrsssstttt0000  =ar as at
subx4       11100000rrrrsssstttt0000  =ar as at
subx8       11110000rrrrsssstttt0000  =ar as at
slli        000x0001rrrrssssxxxx0000  =ar as
srai        001x0001rrrrxxxxtttt0000  =ar at
srli        01000001rrrrxxxxtttt0000  =ar at
xsr         01100001iiiiiiiitttt0000  +at
src         10000001rrrrsssstttt0000  =ar as at
srl         10010001rrrr0000tttt0000  =ar at
sll         10100001rrrrssss00000000  =ar as
sra         10110001rrrr0000tttt0000  =ar at
mul16u      11000001rrrrsssstttt0000  =ar as at
mul16s      11010001rrrrsssstttt0000  =ar as at
andb        00000010rrrrsssstttt0000  =br bs bt
andbc       00010010rrrrsssstttt0000  =br bs bt
orb         00100010rrrrsssstttt0000  =br bs bt
orbc        00110010rrrrsssstttt0000  =br bs bt
xorb        01000010rrrrsssstttt0000  =br bs bt
mull        10000010rrrrsssstttt0000  =ar as at
muluh       10100010rrrrsssstttt0000  =ar as at
mulsh       10110010rrrrsssstttt0000  =ar as at
quou        11000010rrrrsssstttt0000  =ar as at
quos        11010010rrrrsssstttt0000  =ar as at
remu        11100010rrrrsssstttt0000  =ar as at
rems        11110010rrrrsssstttt0000  =ar as at
rsr         00000011iiiiiiiitttt0000  =at
wsr         00010011iiiiiiiitttt0000  at
sext        00100011rrrrssssxxxx0000  =ar as
clamps      00110011rrrrssssxxxx0000  =ar as
min         01000011rrrrsssstttt0000  =ar as at
max         01010011rrrrsssstttt0000  =ar as at
minu        01100011rrrrsssstttt0000  =ar as at
maxu        01110011rrrrsssstttt0000  =ar as at
moveqz      10000011rrrrsssstttt0000  +ar as at
movnez      10010011rrrrsssstttt0000  +ar as at
movltz      10100011rrrrsssstttt0000  +ar as at
movgez      10110011rrrrsssstttt0000  +ar as at
movf        11000011rrrrsssstttt0000  +ar as bt
movt        11010011rrrrsssstttt0000  +ar as bt
rur         11100011rrrrxxxxxxxx0000  =ar
wur         11110011xxxxxxxxtttt0000  at
extui       xxxx010xrrrrxxxxtttt0000  =ar at
lsx         00001000rrrrsssstttt0000  =fr as at
lsxp        00011000rrrrsssstttt0000  =fr +as at
ssx         01001000rrrrsssstttt0000  fr as at
ssxp        01011000rrrrsssstttt0000  fr +as at
l32e        00001001xxxxsssstttt0000  =at as
s32e        01001001xxxxsssstttt0000  at as
add.s       00001010rrrrsssstttt0000  =fr fs ft
sub.s       00011010rrrrsssstttt0000  =fr fs ft
mul.s       00101010rrrrsssstttt0000  =fr fs ft
madd.s      01001010rrrrsssstttt0000  +fr fs ft
msub.s      01011010rrrrsssstttt0000  +fr fs ft
maddn.s     01101010rrrrsssstttt0000  +fr fs ft
divn.s      01111010rrrrsssstttt0000  +fr fs ft
round.s     10001010rrrrssssxxxx0000  =ar fs
trunc.s     10011010rrrrssssxxxx0000  =ar fs
floor.s     10101010rrrrssssxxxx0000  =ar fs
ceil.s      10111010rrrrssssxxxx0000  =ar fs
float.s     11001010rrrrssssxxxx0000  =fr as
ufloat.s    11011010rrrrssssxxxx0000  =fr as
utrunc.s    11101010rrrrssssxxxx0000  =ar fs
mov.s       11111010rrrrssss00000000  =fr fs
abs.s       11111010rrrrssss00010000  =fr fs
const.s     11111010rrrrxxxx00110000  =fr
rfr         11111010rrrrssss01000000  =ar fs
wfr         11111010rrrrssss01010000  =fr as
neg.s       11111010rrrrssss01100000  =fr fs
div0.s      11111010rrrrssss01110000  =fr fs
recip0.s    11111010rrrrssss10000000  =fr fs
sqrt0.s     11111010rrrrssss10010000  =fr fs
rsqrt0.s    11111010rrrrssss10100000  =fr fs
nexp01.s    11111010rrrrssss10110000  =fr fs
mksadj.s    11111010rrrrssss11000000  =fr fs
mkdadj.s    11111010rrrrssss11010000  +fr fs
addexp.s    11111010rrrrssss11100000  +fr fs
addexpm.s   11111010rrrrssss11110000  +fr fs
un.s        00011011rrrrsssstttt0000  =br fs ft
oeq.s       00101011rrrrsssstttt0000  =br fs ft
ueq.s       00111011rrrrsssstttt0000  =br fs ft
olt.s       01001011rrrrsssstttt0000  =br fs ft
ult.s       01011011rrrrsssstttt0000  =br fs ft
ole.s       01101011rrrrsssstttt0000  =br fs ft
ule.s       01111011rrrrsssstttt0000  =br fs ft
moveqz.s    10001011rrrrsssstttt0000  +fr fs at
movnez.s    10011011rrrrsssstttt0000  +fr fs at
movltz.s    10101011rrrrsssstttt0000  +fr fs at
movgez.s    10111011rrrrsssstttt0000  +fr fs at
movf.s      11001011rrrrsssstttt0000  +fr fs bt
movt.s      11011011rrrrsssstttt0000  +fr fs bt
l32r        iiiiiiiiiiiiiiiitttt0001  =at
l8ui        iiiiiiii0000sssstttt0010  =at as
l16ui       iiiiiiii0001sssstttt0010  =at as
l32i        iiiiiiii0010sssstttt0010  =at as
s8i         iiiiiiii0100sssstttt0010  at as
s16i        iiiiiiii0101sssstttt0010  at as
s32i        iiiiiiii0110sssstttt0010  at as
l16si       iiiiiiii1001sssstttt0010  =at as
movi        iiiiiiii1010jjjjtttt0010  =at
l32ai       iiiiiiii1011sssstttt0010  =at as
addi        iiiiiiii1100sssstttt0010  =at as
addmi       iiiiiiii1101sssstttt0010  =at as
s32c1i      iiiiiiii1110sssstttt0010  +at as
s32ri       iiiiiiii1111sssstttt0010  at as
lsi         iiiiiiii0000sssstttt0011  =ft as
ssi         iiiiiiii0100sssstttt0011  ft as
lsip        iiiiiiii1000sssstttt0011  =ft +as
ssip        iiiiiiii1100sssstttt0011  ft +as
call0       iiiiiiiiiiiiiiiiii000101
call4       iiiiiiiiiiiiiiiiii010101
call8       iiiiiiiiiiiiiiiiii100101
call12      iiiiiiiiiiiiiiiiii110101
j           iiiiiiiiiiiiiiiiii000110
beqz        iiiiiiiiiiiissss00010110  as
bnez        iiiiiiiiiiiissss01010110  as
bltz        iiiiiiiiiiiissss10010110  as
bgez        iiiiiiiiiiiissss11010110  as
beqi        iiiiiiiixxxxssss00100110  as
bnei        iiiiiiiixxxxssss01100110  as
blti        iiiiiiiixxxxssss10100110  as
bgei        iiiiiiiixxxxssss11100110  as
entry       iiiiiiiiiiiissss00110110  +as
bf          iiiiiiii0000ssss01110110  bs
bt          iiiiiiii0001ssss01110110  bs
loop        iiiiiiii1000ssss01110110  as
loopnez     iiiiiiii1001ssss01110110  as
loopgtz     iiiiiiii1010ssss01110110  as
bltui       iiiiiiiixxxxssss10110110  as
bgeui       iiiiiiiixxxxssss11110110  as
bnone       iiiiiiii0000sssstttt0111  as at
beq         iiiiiiii0001sssstttt0111  as at
blt         iiiiiiii0010sssstttt0111  as at
bltu        iiiiiiii0011sssstttt0111  as at
ball        iiiiiiii0100sssstttt0111  as at
bbc         iiiiiiii0101sssstttt0111  as at
bbci        iiiiiiii011xssssxxxx0111  as
bany        iiiiiiii1000sssstttt0111  as at
bne         iiiiiiii1001sssstttt0111  as at
bge         iiiiiiii1010sssstttt0111  as at
bgeu        iiiiiiii1011sssstttt0111  as at
bnall       iiiiiiii1100sssstttt0111  as at
bbs         iiiiiiii1101sssstttt0111  as at
bbsi        iiiiiiii111xssssxxxx0111  as
l32i.n      iiiisssstttt1000  =at as
s32i.n      iiiisssstttt1001  at as
add.n       rrrrsssstttt1010  =ar as at
addi.n      rrrrssssxxxx1011  =ar as
movi.n      iiiissss0jjj1100  =as
beqz.n      iiiissss10jj1100  as
bnez.n      iiiissss11jj1100  as
mov.n       0000sssstttt1101  =at as
ret.n       1111000000001101
retw.n      1111000000011101
break.n     1111xxxx00101101
nop.n       1111000000111101
ill.n       1111000001101101
"""

CALLS = ("call0", "call4", "call8", "call12")
CALLS_OF_REGISTERS = ("callx0", "callx4", "callx8", "callx12")
LOOPS = ("loop", "loopnez", "loopgtz")
RETURNS = ("ret", "ret.n", "retw", "retw.n")
EXCEPTION_RETURNS = ("rfe", "rfue", "rfde", "rfi", "rfwo", "rfwu")
ENDS = ("j", "jx", *RETURNS, *EXCEPTION_RETURNS, "ill", "ill.n")  # nothing is executed behind them

_BRANCH_BITS = {  # of the signed offsets of jumps and branches; loops and narrow branches only go forwards
    "j": 18,
    **dict.fromkeys(("beqz", "bnez", "bltz", "bgez"), 12),
    **dict.fromkeys(("beqi", "bnei", "blti", "bgei", "bltui", "bgeui", "bf", "bt"), 8),
    **dict.fromkeys(("bnone", "beq", "blt", "bltu", "ball", "bbc", "bbci"), 8),
    **dict.fromkeys(("bany", "bne", "bge", "bgeu", "bnall", "bbs", "bbsi"), 8),
}
_FORWARD_BRANCHES = ("beqz.n", "bnez.n", *LOOPS)


@dataclass(frozen=True, eq=False)  # a row equals itself alone
class Row:
    """A line of the table: an instruction matches when its bits under `mask` are those of `match`."""

    name: str
    length: int
    mask: int
    match: int
    places: dict[str, tuple[int, int]]  # field: lowest bit and width
    operands: tuple[str, ...]

    def field(self, word: int, name: str) -> int:
        """The unsigned number in a field of an instruction."""
        low, width = self.places[name]
        return word >> low & ((1 << width) - 1)


def _row(line: str) -> Row:
    name, pattern, *operands = line.split()
    bits = pattern[::-1]
    mask = sum(1 << bit for bit, digit in enumerate(bits) if digit in "01")
    match = sum(1 << bit for bit, digit in enumerate(bits) if digit == "1")
    places = {field: (bits.index(field), bits.count(field)) for field in "rstij" if field in bits}
    return Row(name, len(bits) // 8, mask, match, places, tuple(operands))


ROWS = [_row(line) for line in _TABLE.split("\n") if line]
_BY_LOW_BITS = [[row for row in ROWS if (low ^ row.match) & row.mask & 15 == 0] for low in range(16)]


@dataclass(frozen=True)
class Instruction:
    """One decoded instruction."""

    address: int
    word: int
    row: Row

    @property
    def name(self) -> str:
        """Its mnemonic; special registers are no part of it."""
        return self.row.name

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return self.row.length

    @property
    def end(self) -> int:
        """The address behind it."""
        return self.address + self.size

    @property
    def straddles(self) -> bool:
        """Whether it crosses a 4-byte word."""
        return self.address // 4 != (self.end - 1) // 4

    def _named(self, operand: str) -> str:
        return f"{operand[-2]}{self.row.field(self.word, operand[-1])}"

    @cached_property
    def registers(self) -> tuple[str, ...]:
        """Its register operands, in the assembler's order."""
        return tuple(map(self._named, self.row.operands))

    @cached_property
    def results(self) -> tuple[str, ...]:
        """The registers that it sets, in the assembler's order."""
        return tuple(self._named(operand) for operand in self.row.operands if operand[0] in "=+")

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """The registers that it reads, in the assembler's order."""
        return tuple(self._named(operand) for operand in self.row.operands if operand[0] != "=")

    @property
    def immediate(self) -> int:
        """Its immediate as an unsigned number, not scaled; only where the table has one."""
        number = self.row.field(self.word, "i")
        if "j" in self.row.places:
            number |= self.row.field(self.word, "j") << self.row.places["i"][1]
        return number

    @property
    def target(self) -> int | None:
        """Where a direct jump, branch or call goes; for a loop the address behind its body. Others have none."""
        if self.name in CALLS:
            target = (self.address & ~3) + 4 + 4 * _signed(self.immediate, 18)
        elif self.name in _FORWARD_BRANCHES:
            target = self.address + 4 + self.immediate
        elif self.name in _BRANCH_BITS:
            target = self.address + 4 + _signed(self.immediate, _BRANCH_BITS[self.name])
        else:
            return None
        return target % 2**32

    @property
    def literal(self) -> int | None:
        """The address that l32r loads from. Others have none."""
        if self.name != "l32r":
            return None
        return ((self.address + 3) & ~3) + 4 * (self.immediate - 0x10000)


def decode(code: bytes, address: int) -> Instruction:
    """The instruction that begins with these bytes, of which there must be three, and lies at this address.

    Raises UserError when there is none in the table.
    """
    word = int.from_bytes(code[:3], "little")
    for row in _BY_LOW_BITS[word & 15]:
        if word & row.mask == row.match:
            return Instruction(address, word & ((1 << 8 * row.length) - 1), row)
    raise UserError(
        f"no instruction is known for the bytes {code[:3].hex(' ')} at {address:#010x}; if there is one, "
        "add it to the table of site_scons/mgbuild/firmware/isa.py"
    )


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value
