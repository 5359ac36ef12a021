//! From a hook's memory to values.

use wasmtime::Result;

use super::Abi;
use crate::fault::Broken;
use crate::hook::MAX_HANDOVER;

/// A look at a hook's memory while values are taken from it.
pub(crate) struct Lift<'m> {
    memory: &'m [u8],
    /// What may still be handed over, in bytes as they take room here.
    left: usize,
}

impl<'m> Lift<'m> {
    pub(crate) fn new(memory: &'m [u8]) -> Self {
        Self { memory, left: MAX_HANDOVER }
    }

    /// What a function returns by a pointer.
    pub(crate) fn returned<T: Load>(&mut self, at: u32) -> Result<T> {
        let at = at as usize;
        if !at.is_multiple_of(T::ALIGN) {
            return Err(Broken("return pointer not aligned").into());
        }
        if at + T::SIZE > self.memory.len() {
            return Err(Broken("return pointer out of bounds of memory").into());
        }
        T::load(self, at)
    }

    /// A string, where it is.
    pub(crate) fn text(&mut self, at: u32, length: u32) -> Result<&'m str> {
        let (at, length) = (at as usize, length as usize);
        let bytes = self.memory.get(at..at + length).ok_or(Broken("string pointer/length out of bounds of memory"))?;
        self.spend(length)?;
        Ok(std::str::from_utf8(bytes)?)
    }

    fn list<T: Load>(&mut self, at: u32, length: u32) -> Result<Vec<T>> {
        let (at, length) = (at as usize, length as usize);
        let end = length.checked_mul(T::SIZE).and_then(|size| at.checked_add(size));
        if end.is_none_or(|end| end > self.memory.len()) {
            return Err(Broken("list pointer/length out of bounds of memory").into());
        }
        if !at.is_multiple_of(T::ALIGN) {
            return Err(Broken("list pointer is not aligned").into());
        }
        self.spend(length.saturating_mul(size_of::<T>()))?;
        T::load_list(self, at, length)
    }

    fn spend(&mut self, bytes: usize) -> Result<()> {
        self.left = self.left.checked_sub(bytes).ok_or(Broken("too much data is handed over in one call"))?;
        Ok(())
    }

    fn array<const N: usize>(&self, at: usize) -> Result<[u8; N]> {
        let found = self.memory.get(at..).and_then(|rest| rest.first_chunk());
        Ok(*found.ok_or(Broken("pointer out of bounds of memory"))?)
    }

    fn pair(&self, at: usize) -> Result<(u32, u32)> {
        let [a, b, c, d, e, f, g, h] = self.array(at)?;
        Ok((u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])))
    }

    /// The discriminant of a variant with one byte for it.
    pub(super) fn case(&self, at: usize) -> Result<u32> {
        let [case] = self.array(at)?;
        Ok(case.into())
    }
}

/// What can be taken from memory.
pub(crate) trait Load: Abi + Sized {
    /// Takes the value at an address that is aligned for it.
    fn load(lift: &mut Lift<'_>, at: usize) -> Result<Self>;

    /// Takes a list of values, whose address is aligned and whose range was looked at.
    fn load_list(lift: &mut Lift<'_>, at: usize, length: usize) -> Result<Vec<Self>> {
        (0..length).map(|nth| Self::load(lift, at + nth * Self::SIZE)).collect()
    }
}

/// The flat parameters of a call; nearly all functions of the contract have `i32` only.
pub(crate) struct Flat<'a>(pub(crate) &'a [u32]);

impl Flat<'_> {
    pub(super) fn take(&mut self) -> Result<u32> {
        let (first, rest) = self.0.split_first().ok_or(Broken("a parameter is missing"))?;
        self.0 = rest;
        Ok(*first)
    }

    fn skip(&mut self, count: usize) -> Result<()> {
        self.0 = self.0.get(count..).ok_or(Broken("a parameter is missing"))?;
        Ok(())
    }
}

/// What can be a parameter of an import.
pub(crate) trait Param: Sized {
    /// How many flat parameters it is.
    const FLAT: usize;

    fn param(lift: &mut Lift<'_>, flat: &mut Flat<'_>) -> Result<Self>;
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Abi for $number {
            const SIZE: usize = size_of::<$number>();
            const ALIGN: usize = size_of::<$number>();
            #[cfg(test)]
            fn describe() -> String {
                stringify!($number).into()
            }
        }

        impl Load for $number {
            fn load(lift: &mut Lift<'_>, at: usize) -> Result<Self> {
                Ok(Self::from_le_bytes(lift.array(at)?))
            }
        }
    )*};
}

numbers!(u16, u32, u64, f64);

impl Abi for u8 {
    const SIZE: usize = 1;
    const ALIGN: usize = 1;
    #[cfg(test)]
    fn describe() -> String {
        "u8".into()
    }
}

impl Load for u8 {
    fn load(lift: &mut Lift<'_>, at: usize) -> Result<Self> {
        let [byte] = lift.array(at)?;
        Ok(byte)
    }

    fn load_list(lift: &mut Lift<'_>, at: usize, length: usize) -> Result<Vec<Self>> {
        let bytes = lift.memory.get(at..at + length).ok_or(Broken("list pointer/length out of bounds of memory"))?;
        Ok(bytes.to_vec())
    }
}

impl Abi for bool {
    const SIZE: usize = 1;
    const ALIGN: usize = 1;
    #[cfg(test)]
    fn describe() -> String {
        "bool".into()
    }
}

impl Abi for () {
    const SIZE: usize = 0;
    const ALIGN: usize = 1;
    #[cfg(test)]
    fn describe() -> String {
        "_".into()
    }
}

impl Load for () {
    fn load(_: &mut Lift<'_>, _: usize) -> Result<Self> {
        Ok(())
    }
}

impl Abi for String {
    const SIZE: usize = 8;
    const ALIGN: usize = 4;
    #[cfg(test)]
    fn describe() -> String {
        "string".into()
    }
}

impl Load for String {
    fn load(lift: &mut Lift<'_>, at: usize) -> Result<Self> {
        let (at, length) = lift.pair(at)?;
        Ok(lift.text(at, length)?.to_owned())
    }
}

impl Param for String {
    const FLAT: usize = 2;

    fn param(lift: &mut Lift<'_>, flat: &mut Flat<'_>) -> Result<Self> {
        Ok(lift.text(flat.take()?, flat.take()?)?.to_owned())
    }
}

impl<T: Abi> Abi for Vec<T> {
    const SIZE: usize = 8;
    const ALIGN: usize = 4;
    #[cfg(test)]
    fn describe() -> String {
        format!("list<{}>", T::describe())
    }
}

impl<T: Load> Load for Vec<T> {
    fn load(lift: &mut Lift<'_>, at: usize) -> Result<Self> {
        let (at, length) = lift.pair(at)?;
        lift.list(at, length)
    }
}

impl<T: Load> Param for Vec<T> {
    const FLAT: usize = 2;

    fn param(lift: &mut Lift<'_>, flat: &mut Flat<'_>) -> Result<Self> {
        lift.list(flat.take()?, flat.take()?)
    }
}

impl Param for u32 {
    const FLAT: usize = 1;

    fn param(_: &mut Lift<'_>, flat: &mut Flat<'_>) -> Result<Self> {
        flat.take()
    }
}

impl<T: Abi> Abi for Option<T> {
    const SIZE: usize = super::variant(&[(0, 1), (T::SIZE, T::ALIGN)]).0;
    const ALIGN: usize = super::variant(&[(0, 1), (T::SIZE, T::ALIGN)]).1;
    #[cfg(test)]
    fn describe() -> String {
        format!("option<{}>[{},{}]", T::describe(), Self::SIZE, Self::ALIGN)
    }
}

impl<T: Load> Load for Option<T> {
    fn load(lift: &mut Lift<'_>, at: usize) -> Result<Self> {
        match lift.case(at)? {
            0 => Ok(None),
            1 => T::load(lift, at + super::align_up(1, T::ALIGN)).map(Some),
            _ => Err(Broken("invalid option discriminant").into()),
        }
    }
}

impl<T: Param> Param for Option<T> {
    const FLAT: usize = 1 + T::FLAT;

    fn param(lift: &mut Lift<'_>, flat: &mut Flat<'_>) -> Result<Self> {
        match flat.take()? {
            0 => flat.skip(T::FLAT).map(|()| None),
            1 => T::param(lift, flat).map(Some),
            _ => Err(Broken("invalid option discriminant").into()),
        }
    }
}

impl<T: Abi, E: Abi> Abi for std::result::Result<T, E> {
    const SIZE: usize = super::variant(&[(T::SIZE, T::ALIGN), (E::SIZE, E::ALIGN)]).0;
    const ALIGN: usize = super::variant(&[(T::SIZE, T::ALIGN), (E::SIZE, E::ALIGN)]).1;
    #[cfg(test)]
    fn describe() -> String {
        format!("result<{},{}>[{},{}]", T::describe(), E::describe(), Self::SIZE, Self::ALIGN)
    }
}

impl<T: Load, E: Load> Load for std::result::Result<T, E> {
    fn load(lift: &mut Lift<'_>, at: usize) -> Result<Self> {
        let payload = at + super::align_up(1, Self::ALIGN);
        match lift.case(at)? {
            0 => T::load(lift, payload).map(Ok),
            1 => E::load(lift, payload).map(Err),
            _ => Err(Broken("invalid expected discriminant").into()),
        }
    }
}

impl<A: Abi, B: Abi> Abi for (A, B) {
    const SIZE: usize = super::record(&[(A::SIZE, A::ALIGN), (B::SIZE, B::ALIGN)]).0;
    const ALIGN: usize = super::record(&[(A::SIZE, A::ALIGN), (B::SIZE, B::ALIGN)]).1;
    #[cfg(test)]
    fn describe() -> String {
        format!("tuple<{},{}>[{},{}]", A::describe(), B::describe(), Self::SIZE, Self::ALIGN)
    }
}

impl<A: Load, B: Load> Load for (A, B) {
    fn load(lift: &mut Lift<'_>, at: usize) -> Result<Self> {
        Ok((A::load(lift, at)?, B::load(lift, at + super::align_up(A::SIZE, B::ALIGN))?))
    }
}
