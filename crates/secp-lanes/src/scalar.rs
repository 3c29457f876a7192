//! Scalars: halves for the endomorphism, digits without zeros, and the schedule of one scalar that is multiplied by
//! many points.
//!
//! Numbers are four words of 64 bits, the lowest first. The halves, which are far shorter, are in two's complement.

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

pub(crate) type Words = [u64; 4];

/// The group order.
pub(crate) const N: Words = [
    0xbfd2_5e8c_d036_4141,
    0xbaae_dce6_af48_a03b,
    0xffff_ffff_ffff_fffe,
    u64::MAX,
];
/// 1 + λ, where λ·(x, y) = (β·x, y).
const ONE_PLUS_LAMBDA: Words = [
    0xdf02_967c_1b23_bd73,
    0x122e_22ea_2081_6678,
    0xa526_1c02_8812_645a,
    0x5363_ad4c_c05c_30e0,
];
/// A short basis of the lattice {(a, b): a + b·λ ≡ 0 mod n}: (A1, -MINUS_B1) and (A2, A1), by the extended Euclidean
/// algorithm (Guide to Elliptic Curve Cryptography, algorithm 3.74).
const A1: Words = [0xe86c_90e4_9284_eb15, 0x3086_d221_a7d4_6bcd, 0, 0];
const MINUS_B1: Words = [0x6f54_7fa9_0abf_e4c3, 0xe443_7ed6_010e_8828, 0, 0];
const A2: Words = [0x57c1_108d_9d44_cfd8, 0x14ca_50f7_a8e2_f3f6, 1, 0];
/// A1·2^384/n and MINUS_B1·2^384/n, rounded.
const G1: Words = [
    0xe893_209a_45db_b031,
    0x3daa_8a14_71e8_ca7f,
    0xe86c_90e4_9284_eb15,
    0x3086_d221_a7d4_6bcd,
];
const G2: Words = [
    0x1571_b4ae_8ac4_7f71,
    0x2212_08ac_9df5_06c6,
    0x6f54_7fa9_0abf_e4c4,
    0xe443_7ed6_010e_8828,
];
/// (2^256 - 1)/2 mod n: see [`generator_digits`].
const ALL_MINUS: Words = [0x2016_d0b9_97e4_df5f, 0xa2a8_918c_a85b_afe2, 0, 0];

fn from_bytes(bytes: &[u8; 32]) -> Words {
    let mut words = [0; 4];
    for (word, chunk) in words.iter_mut().zip(bytes.rchunks_exact(8)) {
        *word = chunk.iter().fold(0, |w, b| w << 8 | u64::from(*b));
    }
    words
}

fn add(a: &Words, b: &Words) -> (Words, bool) {
    let mut sum = [0; 4];
    let mut carry = false;
    for i in 0..4 {
        (sum[i], carry) = carrying(a[i], b[i], carry);
    }
    (sum, carry)
}

fn carrying(a: u64, b: u64, carry: bool) -> (u64, bool) {
    let (sum, over) = a.overflowing_add(b);
    let (sum, again) = sum.overflowing_add(u64::from(carry));
    (sum, over || again)
}

fn sub(a: &Words, b: &Words) -> (Words, bool) {
    let (sum, carry) = add(a, &b.map(|w| !w));
    let (sum, again) = add(&sum, &[1, 0, 0, 0]);
    (sum, !(carry || again))
}

fn product(a: &Words, b: &Words) -> [u64; 8] {
    let mut words = [0_u64; 8];
    for i in 0..4 {
        let mut carry = 0;
        for j in 0..4 {
            let n = u128::from(a[i]) * u128::from(b[j]) + u128::from(words[i + j]) + u128::from(carry);
            words[i + j] = n as u64;
            carry = (n >> 64) as u64;
        }
        words[i + 4] = carry;
    }
    words
}

fn low_product(a: &Words, b: &Words) -> Words {
    let [w0, w1, w2, w3, ..] = product(a, b);
    [w0, w1, w2, w3]
}

/// `a·b / 2^384`, rounded.
fn high_product(a: &Words, b: &Words) -> Words {
    let p = product(a, b);
    let (sum, _) = add(&[p[6], p[7], 0, 0], &[p[5] >> 63, 0, 0, 0]);
    sum
}

/// `a + b mod n`, for numbers below n.
fn add_mod(a: &Words, b: &Words) -> Words {
    let (sum, over) = add(a, b);
    let (less, under) = sub(&sum, &N);
    if over || !under { less } else { sum }
}

fn is_negative(a: &Words) -> bool {
    a[3] >> 63 == 1
}

fn negate(a: &Words) -> Words {
    sub(&[0; 4], a).0
}

/// `(k1, k2)` with k = k1 + k2·λ mod n, both below 2^128 in magnitude, in two's complement.
fn split(k: &Words) -> Zeroizing<(Words, Words)> {
    let (c1, c2) = (high_product(k, &G1), high_product(k, &G2));
    let (k1, _) = sub(k, &low_product(&c1, &A1));
    let (k1, _) = sub(&k1, &low_product(&c2, &A2));
    let (k2, _) = sub(&low_product(&c1, &MINUS_B1), &low_product(&c2, &A1));
    Zeroizing::new((k1, k2))
}

/// Windows of eight bits in a half.
pub const HALF_WINDOWS: usize = 16;
/// Entries of a window's table: the odd multiples 1 to 255.
pub(crate) const WINDOW_ENTRIES: usize = 128;
/// Odd multiples of the last window. A half is at most 1.28·2^128 in magnitude (the lattice's basis vectors over two,
/// doubled, plus one), so that its last digit is at most 327.
pub(crate) const LAST_WINDOW_ENTRIES: usize = 164;

/// A digit that is odd: which odd multiple, and its sign.
#[derive(Clone, Copy, Default, Zeroize)]
pub struct Digit {
    /// The multiple is `2·entry + 1`.
    pub entry: u8,
    /// Whether the multiple is subtracted.
    pub minus: bool,
}

/// A secret scalar as the digits of its two halves, none of them zero: the sequence of operations is the same for every
/// scalar.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct CombDigits {
    /// The digits of each half, the lowest first; the second half counts λ.
    pub halves: [[Digit; HALF_WINDOWS]; 2],
}

impl CombDigits {
    /// From a scalar, big-endian and below the group order.
    pub fn new(key: &[u8; 32]) -> Self {
        let b = Zeroizing::new(from_bytes(key));
        let halves = odd_halves(&b);
        Self {
            halves: [odd_digits::<8, _>(&halves.0), odd_digits::<8, _>(&halves.1)],
        }
    }
}

/// Bits of a digit of [`LockstepDigits`].
pub(crate) const LOCKSTEP_WIDTH: u32 = 5;
/// Digits of a half: 26·5 bits hold the 129 of one, and leave the last digit below 12.
pub(crate) const LOCKSTEP_WINDOWS: usize = 26;
/// Odd multiples that a digit may be of: 1 to 31.
pub(crate) const LOCKSTEP_ENTRIES: usize = 16;

/// A public scalar as odd digits of five bits: whatever the scalar, each window has an addition for each half.
#[derive(Clone)]
pub struct LockstepDigits {
    /// The digits of each half, the lowest first; the second half counts λ.
    pub halves: [[Digit; LOCKSTEP_WINDOWS]; 2],
}

impl LockstepDigits {
    /// `None` for zero, and for a number that is not below n.
    pub fn new(scalar: &[u8; 32]) -> Option<Self> {
        let k = from_bytes(scalar);
        if k == [0; 4] || !sub(&k, &N).1 {
            return None;
        }
        let halves = odd_halves(&k);
        Some(Self {
            halves: [
                odd_digits::<LOCKSTEP_WIDTH, _>(&halves.0),
                odd_digits::<LOCKSTEP_WIDTH, _>(&halves.1),
            ],
        })
    }
}

/// The halves s of (b - 1 - λ)/2: b = u1 + u2·λ, where u = 2·s + 1 is odd.
fn odd_halves(b: &Words) -> Zeroizing<(Words, Words)> {
    let (minus, _) = sub(&N, &ONE_PLUS_LAMBDA);
    let s = Zeroizing::new(halve(&add_mod(b, &minus)));
    split(&s)
}

/// `a/2 mod n`.
fn halve(a: &Words) -> Words {
    let (sum, over) = if a[0] & 1 == 1 { add(a, &N) } else { (*a, false) };
    shift(&sum, u64::from(over))
}

fn shift(a: &Words, above: u64) -> Words {
    [
        a[0] >> 1 | a[1] << 63,
        a[1] >> 1 | a[2] << 63,
        a[2] >> 1 | a[3] << 63,
        a[3] >> 1 | above << 63,
    ]
}

/// The digits of 2·s + 1, each of `WIDTH` bits; the last has the rest.
fn odd_digits<const WIDTH: u32, const COUNT: usize>(s: &Words) -> [Digit; COUNT] {
    let (double, _) = add(s, s);
    let mut u = Zeroizing::new(add(&double, &[1, 0, 0, 0]).0);
    let minus = is_negative(&u);
    if minus {
        *u = negate(&u);
    }
    let above: u64 = 1 << WIDTH;
    let mask = 2 * above - 1;
    let mut digits = [Digit::default(); COUNT];
    for (i, digit) in digits.iter_mut().enumerate() {
        if i + 1 == COUNT {
            // Positive, and so small that its entry is in the last window's table.
            *digit = Digit {
                entry: (u[0] >> 1) as u8,
                minus,
            };
            break;
        }
        // Odd, and below 2^WIDTH in magnitude; the rest stays odd as the digit takes bit WIDTH with it.
        let signed = (u[0] & mask) as i64 - above.cast_signed();
        *digit = Digit {
            entry: (signed.unsigned_abs() >> 1) as u8,
            minus: minus != (signed < 0),
        };
        // u - digit ends in a one and WIDTH zeros.
        u[0] = u[0] & !mask | above;
        *u = [
            u[0] >> WIDTH | u[1] << (64 - WIDTH),
            u[1] >> WIDTH | u[2] << (64 - WIDTH),
            u[2] >> WIDTH | u[3] << (64 - WIDTH),
            u[3] >> WIDTH,
        ];
    }
    digits
}

/// Windows of eight bits in a full scalar.
pub const WINDOWS: usize = 32;

/// The bytes B_i with t·G = Σ (2·B_i - 255)·2^(8·i)·(G/2), lowest first: again no digit is zero. `None` where t is zero
/// or not below n.
///
/// Every bit of d = t + (2^256 - 1)/2 mod n counts 1 or -1: Σ (2·d_i - 1)·2^i = 2·d - (2^256 - 1) = 2·t.
#[inline]
pub fn generator_digits(t: &[u8; 32]) -> Option<[u8; WINDOWS]> {
    let t = from_bytes(t);
    if t == [0; 4] || !sub(&t, &N).1 {
        return None;
    }
    let d = add_mod(&t, &ALL_MINUS);
    let mut bytes = [0; WINDOWS];
    for (chunk, word) in bytes.chunks_exact_mut(8).zip(d) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    Some(bytes)
}

/// The digit of a byte of [`generator_digits`].
#[inline(always)]
pub fn generator_digit(byte: u8) -> Digit {
    let minus = byte < 128;
    Digit {
        entry: if minus { 127 - byte } else { byte - 128 },
        minus,
    }
}

/// Number of odd multiples in the table of a point that is multiplied by one scalar: 1 to 15.
pub const NAF_ENTRIES: usize = 8;
/// Width of the non-adjacent form: a digit that is not zero is followed by four that are.
const NAF_WIDTH: u32 = 5;
/// Bits of a half, and one for the carry.
const NAF_LENGTH: usize = 130;

/// The sequence of operations of all rows for one scalar.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Schedule {
    /// The steps, in order.
    pub steps: Vec<Step>,
}

/// First doublings, then the addition of an odd multiple.
#[derive(Clone, Copy, Zeroize)]
pub struct Step {
    /// Doublings of the sum so far.
    pub doublings: u32,
    /// The addition is of λ times the multiple.
    pub second_half: bool,
    /// `None`: nothing is added.
    pub digit: Option<Digit>,
}

impl Schedule {
    /// The width-5 NAFs of both halves, interleaved (Guide to Elliptic Curve Cryptography, algorithms 3.35 and 3.77).
    pub fn new(key: &[u8; 32]) -> Self {
        let b = Zeroizing::new(from_bytes(key));
        let halves = split(&b);
        let nafs = Zeroizing::new([naf(&halves.0), naf(&halves.1)]);
        // Allocated at full size: a growing vector leaves copies of secrets behind.
        let mut steps = Vec::with_capacity(2 * NAF_LENGTH + 1);
        let mut doublings = 0;
        for position in (0..NAF_LENGTH).rev() {
            doublings += u32::from(!steps.is_empty());
            for (half, naf) in nafs.iter().enumerate() {
                let digit = naf[position];
                if digit != 0 {
                    steps.push(Step {
                        doublings,
                        second_half: half == 1,
                        digit: Some(Digit {
                            entry: digit.unsigned_abs() >> 1,
                            minus: digit < 0,
                        }),
                    });
                    doublings = 0;
                }
            }
        }
        if doublings > 0 {
            steps.push(Step {
                doublings,
                second_half: false,
                digit: None,
            });
        }
        Self { steps }
    }
}

fn naf(half: &Words) -> [i8; NAF_LENGTH] {
    let minus = is_negative(half);
    let mut k = Zeroizing::new(if minus { negate(half) } else { *half });
    let mut digits = [0; NAF_LENGTH];
    for digit in &mut digits {
        if k[0] & 1 == 1 {
            let low = (k[0] & ((1 << NAF_WIDTH) - 1)) as i8;
            let signed = if low >= 1 << (NAF_WIDTH - 1) {
                low - (1 << NAF_WIDTH)
            } else {
                low
            };
            *k = if signed >= 0 {
                sub(&k, &[signed as u64, 0, 0, 0]).0
            } else {
                add(&k, &[u64::from(signed.unsigned_abs()), 0, 0, 0]).0
            };
            *digit = if minus { -signed } else { signed };
        }
        *k = shift(&k, 0);
    }
    digits
}
