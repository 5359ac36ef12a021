//! Takes a query apart at `&`, raw: no decoding, no sorting. `%61` is not `a`: a parameter spelled another way is
//! another parameter, which is then neither in the key nor, with [`filtered_query`], sent to the origin.

use std::borrow::Cow;

use super::Selection;

/// What `selection` keeps of a query, in the order sent: what to forward if only the key's parts may be.
///
/// `None` when there is no query or nothing is kept. Borrows when everything is.
pub fn filtered_query<'a>(query: Option<&'a str>, selection: &Selection) -> Option<Cow<'a, str>> {
    let query = query?;
    match selection {
        Selection::None => None,
        Selection::All => Some(Cow::Borrowed(query)),
        Selection::Only(_) | Selection::Except(_) => {
            let mut kept = String::new();
            let (mut any, mut all) = (false, true);
            for piece in query.split('&') {
                if !keeps(piece, selection) {
                    all = false;
                    continue;
                }
                if any {
                    kept.push('&');
                }
                any = true;
                kept.push_str(piece);
            }
            match (any, all) {
                (false, _) => None,
                (true, true) => Some(Cow::Borrowed(query)),
                (true, false) => Some(Cow::Owned(kept)),
            }
        }
    }
}

/// Whether anything is kept.
pub(super) fn keeps_any(query: Option<&str>, selection: &Selection) -> bool {
    let Some(query) = query else { return false };
    match selection {
        Selection::None => false,
        Selection::All => true,
        Selection::Only(_) | Selection::Except(_) => query.split('&').any(|piece| keeps(piece, selection)),
    }
}

/// Writes what [`filtered_query`] gives, without an allocation of its own.
pub(super) fn write_kept(query: Option<&str>, selection: &Selection, bytes: &mut Vec<u8>) {
    let Some(query) = query else { return };
    if *selection == Selection::All {
        bytes.extend_from_slice(query.as_bytes());
        return;
    }
    let mut first = true;
    for piece in query.split('&').filter(|piece| keeps(piece, selection)) {
        if !first {
            bytes.push(b'&');
        }
        first = false;
        bytes.extend_from_slice(piece.as_bytes());
    }
}

fn keeps(piece: &str, selection: &Selection) -> bool {
    let name = piece.split_once('=').map_or(piece, |(name, _)| name);
    selection.keeps(name.as_bytes())
}
