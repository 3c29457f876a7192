//! Compares each layer with libsecp256k1, on every lane type of this machine.

use std::sync::LazyLock;

use bitcoin::secp256k1::{All, PublicKey, Scalar, Secp256k1, SecretKey};

use super::*;
use crate::element::{M48, M52, R256};

static SECP: LazyLock<Secp256k1<All>> = LazyLock::new(Secp256k1::new);

fn packed(point: &PublicKey) -> Packed {
    let bytes = point.serialize_uncompressed();
    let mut coordinates = [0; 64];
    coordinates.copy_from_slice(&bytes[1..]);
    Packed::from_bytes(&coordinates)
}

fn secret(n: u64) -> SecretKey {
    use bitcoin::hashes::{Hash as _, sha256};
    SecretKey::from_slice(sha256::Hash::hash(&n.to_be_bytes()).as_byte_array()).expect("a scalar")
}

fn point(n: u64) -> Packed {
    packed(&secret(n).public_key(&SECP))
}

#[cfg(target_arch = "x86_64")]
fn run_if<T>(token: Option<T>, test: fn(T), instructions: &str) {
    if let Some(token) = token {
        test(token);
    } else {
        println!("NOT RUN: this machine has no {instructions}");
    }
}

/// The tests call this for every lane type.
macro_rules! on_every_lane {
    ($($name:ident)*) => {$(
        mod $name {
            #[test]
            fn portable() {
                super::$name::<u64>(super::Portable);
            }

            #[cfg(target_arch = "x86_64")]
            #[test]
            fn avx2() {
                super::run_if(super::HasAvx2::available(), super::$name::<super::Avx2>, "AVX2 with FMA");
            }

            #[cfg(target_arch = "x86_64")]
            #[test]
            fn ifma() {
                super::run_if(super::HasIfma::available(), super::$name::<super::Ifma>, "AVX-512 IFMA");
            }
        }
    )*};
}

on_every_lane!(multiplies_extremes transposes doubles_and_adds adds_in_batches combs_hold_multiples multiplies_each sums_of_any_points);

struct Products<L>([Fe<L>; 2], [L; 5]);

impl<L: Lane> Kernel<L> for Products<L> {
    type Output = [Fe<L>; 2];
    #[inline(always)]
    fn run(self, _: L::Token) -> Self::Output {
        let [a, b] = self.0;
        [L::mul_add(&a, &b, &self.1), L::square_add(&a, &self.1)].map(|product| product.normalize())
    }
}

/// `a·b + c` below p: columns carried and folded until nothing is above 2^256.
fn product(a: &[u64; 5], b: &[u64; 5], c: &[u64; 5]) -> [u64; 5] {
    let (low52, low48) = (u128::from(M52), u128::from(M48));
    let carry = |n: &mut [u128; 13]| {
        for i in 0..12 {
            n[i + 1] += n[i] >> 52;
            n[i] &= low52;
        }
    };
    let mut n = [0_u128; 13];
    for (i, a) in a.iter().enumerate() {
        n[i] += u128::from(c[i]);
        for (j, b) in b.iter().enumerate() {
            n[i + j] += u128::from(*a) * u128::from(*b);
        }
    }
    loop {
        carry(&mut n);
        let above: Vec<u128> = (4..12).map(|i| n[i] >> 48 | (n[i + 1] & low48) << 4).collect();
        if above.iter().all(|n| *n == 0) {
            break;
        }
        n[4] &= low48;
        n[5..].fill(0);
        for (n, above) in n.iter_mut().zip(above) {
            *n += above * u128::from(R256);
        }
    }
    let mut less = n;
    less[0] += u128::from(R256);
    carry(&mut less);
    let n = if less[4] >> 48 == 0 { n } else { less };
    let limb = |i: usize| n[i] as u64;
    [limb(0), limb(1), limb(2), limb(3), limb(4) & M48]
}

/// Limbs around every bound that the arithmetic of any lane type has.
fn multiplies_extremes<L: Lane>(token: L::Token) {
    use bitcoin::secp256k1::rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};

    let mut rng = StdRng::seed_from_u64(52);
    let low = [0, 1, 2, (1 << 51) - 1, 1 << 51, (1 << 51) + 1, M52 - 1, M52];
    // The value is below 2^256 + 2^247.
    let last = [0, 1, M48 - 1, M48, M48 + (1 << 39)];
    let addends = [0, 1, (1 << 58) - 1];
    for _ in 0..20_000 {
        let mut element = || {
            let mut limbs = [0; 5].map(|_: u64| *low.choose(&mut rng).expect("not empty"));
            limbs[4] = *last.choose(&mut rng).expect("not empty");
            limbs
        };
        let (a, b) = (element(), element());
        let c = [0; 5].map(|_: u64| addends[rng.gen_range(0..3)]);
        let lanes = |limbs: [u64; 5]| limbs.map(|limb| L::splat(token, limb));
        let found = L::vectorize(token, Products([Fe(lanes(a)), Fe(lanes(b))], lanes(c)));
        let expected = [product(&a, &b, &c), product(&a, &a, &c)];
        for (found, expected) in found.into_iter().zip(expected) {
            for (found, expected) in found.0.into_iter().zip(expected) {
                for lane in &found.to_lanes()[..L::LANES] {
                    assert_eq!(*lane, expected, "{a:x?} {b:x?} {c:x?}");
                }
            }
        }
    }
}

fn transposes<L: Lane>(token: L::Token) {
    let points: Vec<Packed> = (0..8).map(point).collect();
    let read = Affine::<L>::gather(token, |lane| &points[lane]).pack();
    for lane in 0..L::LANES {
        assert_eq!(read[lane].0, points[lane].0);
    }
}

struct Chain<L>(Affine<L>, Affine<L>);

impl<L: Lane> Kernel<L> for Chain<L> {
    type Output = [Jacobian<L>; 3];
    #[inline(always)]
    fn run(self, _: L::Token) -> Self::Output {
        let double = Jacobian::from_affine(&self.0).double();
        let sum = double.add(&self.1);
        [double, sum, sum.double().add(&self.1.negate())]
    }
}

fn doubles_and_adds<L: Lane>(token: L::Token) {
    let points: Vec<Packed> = (0..16).map(point).collect();
    let (a, b) = (
        Affine::<L>::gather(token, |lane| &points[lane]),
        Affine::gather(token, |lane| &points[lane + 8]),
    );
    let results = L::vectorize(token, Chain(a, b));
    let mut affine = [a; 3];
    let mut bad = [0; 3];
    L::vectorize(
        token,
        ToAffine {
            jacobian: &results,
            affine: &mut affine,
            scratch: &mut Scratch::new(token, 3),
            bad: &mut bad,
        },
    );
    assert_eq!(bad, [0; 3]);
    for lane in 0..L::LANES {
        let (p, q) = (secret(lane as u64), secret(lane as u64 + 8));
        let double = p.mul_tweak(&two()).expect("2p");
        let sum = double.add_tweak(&q.into()).expect("2p + q");
        let last = sum
            .mul_tweak(&two())
            .expect("4p + 2q")
            .add_tweak(&q.negate().into())
            .expect("4p + q");
        for (i, expected) in [double, sum, last].into_iter().enumerate() {
            assert_eq!(affine[i].pack()[lane].0, packed(&expected.public_key(&SECP)).0, "{i}");
        }
    }
}

fn two() -> Scalar {
    let mut bytes = [0; 32];
    bytes[31] = 2;
    Scalar::from_be_bytes(bytes).expect("two")
}

fn adds_in_batches<L: Lane>(token: L::Token) {
    // Sum 3 meets an equal point in its first lane, sum 5 an opposite one.
    let points: Vec<Packed> = (0..20).map(point).collect();
    let mut sums: Vec<Affine<L>> = (0..8)
        .map(|i| Affine::gather(token, |lane| &points[i + lane]))
        .collect();
    let mut addends: Vec<Affine<L>> = (0..8)
        .map(|i| Affine::gather(token, |lane| &points[i + lane + 1]))
        .collect();
    let (third, fifth) = (sums[3], sums[5].negate());
    let swap = |whole: &mut Affine<L>, with: &Affine<L>| {
        whole.x = Fe::select(1, &with.x, &whole.x);
        whole.y = Fe::select(1, &with.y, &whole.y);
    };
    swap(&mut addends[3], &third);
    swap(&mut addends[5], &fifth);
    let mut bad = [0; 8];
    L::vectorize(
        token,
        Sums {
            sums: &mut sums,
            addends: &addends,
            scratch: &mut Scratch::new(token, 8),
            bad: &mut bad,
        },
    );
    assert_eq!(bad, [0, 0, 0, 1, 0, 1, 0, 0]);
    for (i, sum) in sums.iter().enumerate() {
        for (lane, sum) in sum.pack().iter().take(L::LANES).enumerate() {
            if bad[i] >> lane & 1 == 0 {
                let n = (i + lane) as u64;
                let expected = secret(n).add_tweak(&secret(n + 1).into()).expect("a sum");
                assert_eq!(sum.0, packed(&expected.public_key(&SECP)).0);
            }
        }
    }
}

fn combs_hold_multiples<L: Lane>(token: L::Token) {
    let points: Vec<Packed> = (0..8).map(point).collect();
    let mut combs = Combs::<L>::new(token);
    combs.fill(&Affine::gather(token, |lane| &points[lane]));
    assert_eq!(combs.bad & all::<L>(), 0);
    for lane in 0..L::LANES {
        for (window, entry) in [(0, 0), (0, 5), (7, 127), (15, 0), (15, 127), (15, 163)] {
            let digit = Digit { entry, minus: false };
            let mut bytes = [0; 32];
            let multiple = 2 * u16::from(entry) + 1;
            bytes[30 - window..32 - window].copy_from_slice(&multiple.to_be_bytes());
            let expected = secret(lane as u64).mul_tweak(&Scalar::from_be_bytes(bytes).expect("small"));
            let expected = packed(&expected.expect("not zero").public_key(&SECP));
            assert_eq!(
                combs.table(lane)[comb_entry(window, digit)].0,
                expected.0,
                "{window} {entry}"
            );
        }
    }
}

fn public(point: &Packed) -> PublicKey {
    PublicKey::from_slice(&point.uncompressed()).expect("a point of the curve")
}

/// Every kind of scalar in every lane; exceptional cases are reported and not computed.
fn multiplies_each<L: Lane>(token: L::Token) {
    let keys = scalars();
    let mut exceptions = 0;
    let mut each = EachScalar::<L>::new(token, keys.len() / 2);
    for shift in 0..L::LANES {
        let chosen: Vec<SecretKey> = keys.iter().cycle().skip(shift).take(keys.len()).copied().collect();
        let pairs: Vec<_> = (0..)
            .zip(&chosen)
            .map(|(n, key)| (point(n), LockstepDigits::new(&key.secret_bytes()).expect("below n")))
            .collect();
        let products = each.multiply(&pairs);
        assert_eq!(products.len(), pairs.len());
        for ((product, (point, _)), key) in products.iter().zip(&pairs).zip(&chosen) {
            let expected = public(point).mul_tweak(&SECP, &Scalar::from(*key)).expect("not zero");
            match product {
                Some(product) => assert_eq!(public(product), expected),
                None => exceptions += 1,
            }
        }
    }
    assert!(
        exceptions < keys.len() / 20 * L::LANES,
        "{exceptions} of {}",
        keys.len()
    );
    assert!(LockstepDigits::new(&[0; 32]).is_none());
    assert!(LockstepDigits::new(&[0xff; 32]).is_none());
}

fn sums_of_any_points<L: Lane>(token: L::Token) {
    for count in [1, 2, 7, 8, 9, 70] {
        let key = |n: u64| if n % 5 == 4 { secret(n - 1).negate() } else { secret(n) };
        let mut points: Vec<Packed> = (0..count).map(|n| packed(&key(n).public_key(&SECP))).collect();
        // Each third one is added to itself, each fifth to its opposite, the others to their neighbour.
        let other = |n: u64| match n {
            n if n % 3 == 0 => key(n),
            n if n % 5 == 1 => key(n).negate(),
            n => secret(n + 1000),
        };
        points.extend((0..count).map(|n| packed(&other(n).public_key(&SECP))));
        let blank = Affine::gather(token, |_| &GENERATOR);
        let vectors = (count as usize).div_ceil(L::LANES);
        let (mut sums, mut slopes) = (vec![blank; vectors], vec![blank; vectors]);
        let mut bad = vec![0; vectors];
        let last = count as usize - 1;
        L::vectorize(
            token,
            AnySums {
                points: &mut points,
                pairs: |v: usize, lane: usize| {
                    let n = (v * L::LANES + lane).min(last);
                    (n, n + last + 1)
                },
                sums: &mut sums,
                slopes: &mut slopes,
                scratch: &mut Scratch::new(token, vectors),
                bad: &mut bad,
            },
        );
        for n in 0..count {
            let place = n as usize;
            let marked = bad[place / L::LANES] >> (place % L::LANES) & 1 == 1;
            match key(n).add_tweak(&other(n).into()) {
                Ok(sum) => {
                    assert!(!marked, "{n} of {count}");
                    assert_eq!(public(&points[place]), sum.public_key(&SECP), "{n} of {count}");
                }
                Err(_) => assert!(marked, "{n} of {count}"),
            }
        }
    }
}

fn scalar(n: i64) -> Scalar {
    Scalar::from(if n < 0 {
        small(n.unsigned_abs()).negate()
    } else {
        small(n.unsigned_abs())
    })
}

fn small(n: u64) -> SecretKey {
    let mut bytes = [0; 32];
    bytes[24..].copy_from_slice(&n.to_be_bytes());
    SecretKey::from_slice(&bytes).expect("not zero")
}

fn lambda() -> SecretKey {
    let bytes = [
        0x53, 0x63, 0xad, 0x4c, 0xc0, 0x5c, 0x30, 0xe0, 0xa5, 0x26, 0x1c, 0x02, 0x88, 0x12, 0x64, 0x5a, 0x12, 0x2e,
        0x22, 0xea, 0x20, 0x81, 0x66, 0x78, 0xdf, 0x02, 0x96, 0x7c, 0x1b, 0x23, 0xbd, 0x72,
    ];
    SecretKey::from_slice(&bytes).expect("λ")
}

fn scalars() -> Vec<SecretKey> {
    let mut scalars: Vec<SecretKey> = (0..200).map(secret).collect();
    for n in 1..40 {
        scalars.extend([small(n), small(n).negate()]);
        scalars.extend(
            scalars
                .clone()
                .iter()
                .rev()
                .take(2)
                .map(|s| s.mul_tweak(&lambda().into()).expect("λ·s")),
        );
    }
    scalars
}

/// `sum + n`, where none stands for zero.
fn plus(sum: Option<SecretKey>, n: SecretKey) -> Option<SecretKey> {
    match sum {
        None => Some(n),
        Some(sum) => sum.add_tweak(&n.into()).ok(),
    }
}

fn digit_value(digit: Digit) -> i64 {
    let value = 2 * i64::from(digit.entry) + 1;
    if digit.minus { -value } else { value }
}

#[test]
fn comb_digits_sum_to_the_scalar() {
    for key in scalars() {
        let digits = CombDigits::new(&key.secret_bytes());
        let mut sum = None;
        for (half, unit) in digits.halves.iter().zip([small(1), lambda()]) {
            let mut unit = unit;
            for digit in half {
                assert!(digit.entry < 164);
                sum = plus(sum, unit.mul_tweak(&scalar(digit_value(*digit))).expect("not zero"));
                unit = unit.mul_tweak(&scalar(256)).expect("not zero");
            }
        }
        assert_eq!(sum, Some(key));
    }
}

#[test]
fn lockstep_digits_sum_to_the_scalar() {
    for key in scalars() {
        let digits = LockstepDigits::new(&key.secret_bytes()).expect("below n");
        let mut sum = None;
        for (half, unit) in digits.halves.iter().zip([small(1), lambda()]) {
            let mut unit = unit;
            for digit in half {
                assert!(digit.entry < 16);
                sum = plus(sum, unit.mul_tweak(&scalar(digit_value(*digit))).expect("not zero"));
                unit = unit.mul_tweak(&scalar(32)).expect("not zero");
            }
        }
        assert_eq!(sum, Some(key));
    }
}

#[test]
fn schedules_compute_the_scalar() {
    for key in scalars() {
        let mut sum = None;
        for step in &Schedule::new(&key.secret_bytes()).steps {
            for _ in 0..step.doublings {
                sum = sum.map(|s: SecretKey| s.mul_tweak(&two()).expect("not zero"));
            }
            if let Some(digit) = step.digit {
                assert!(digit.entry < 8);
                let unit = if step.second_half { lambda() } else { small(1) };
                sum = plus(sum, unit.mul_tweak(&scalar(digit_value(digit))).expect("not zero"));
            }
        }
        assert_eq!(sum, Some(key));
    }
}

#[test]
fn generator_digits_sum_to_the_scalar() {
    let half = two();
    for key in scalars() {
        let digits = generator_digits(&key.secret_bytes()).expect("below n");
        let (mut sum, mut unit) = (None, small(1));
        for byte in digits {
            sum = plus(
                sum,
                unit.mul_tweak(&scalar(digit_value(generator_digit(byte))))
                    .expect("not zero"),
            );
            unit = unit.mul_tweak(&scalar(256)).expect("not zero");
        }
        // Twice the scalar: the table holds multiples of G/2.
        assert_eq!(sum, Some(key.mul_tweak(&half).expect("not zero")));
    }
    assert_eq!(generator_digits(&[0; 32]), None);
    let n = PublicKey::from_secret_key(&SECP, &small(1));
    assert_eq!(packed(&n).0, GENERATOR.0);
    let mut order = small(1).negate().secret_bytes();
    assert!(generator_digits(&order).is_some());
    order[31] += 1;
    assert_eq!(generator_digits(&order), None);
}

#[test]
fn generator_table_holds_multiples_of_its_half() {
    assert_eq!(generator_table().len(), 128 * WINDOWS);
    let digit = Digit { entry: 7, minus: false };
    // 2·(15·G/2) = 15·G; the last window's point likewise, times 2^248.
    for window in [0, 1, 31] {
        let mut bytes = [0; 32];
        bytes[31 - window] = 15;
        let fifteen = SecretKey::from_slice(&bytes).expect("a scalar").public_key(&SECP);
        let found = generator_table()[generator_entry(window, digit)];
        let xy: Vec<u8> = [4_u8]
            .into_iter()
            .chain(found.0[..4].iter().rev().flat_map(|w| w.to_be_bytes()))
            .chain(found.0[4..].iter().rev().flat_map(|w| w.to_be_bytes()))
            .collect();
        let found = PublicKey::from_slice(&xy).expect("a point");
        assert_eq!(found.combine(&found).expect("twice"), fifteen);
    }
}
