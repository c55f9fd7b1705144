//! What follows a literal head, beginning with a parameter: `/{id}`, `/{id}/files/*`.
//!
//! A few tails are a small matchit router, rebuilt when one of them changes. More than
//! [`FEW_MAX`] part: what follows the first parameter becomes a persistent [`Level`] of its own, so
//! that a change costs little however many patterns begin alike, as in `/{tenant}/…`.

use std::sync::Arc;

use ferryway_model::{End, Name, Segment};

use crate::leaf::{Edit, Leaf, Search};
use crate::level::Level;
use crate::map::Vacant;
use crate::shape::{Shape, segment_len};

/// The patterns of a head that go on with a parameter.
#[derive(Clone, Debug, Default)]
pub(crate) enum Tails<T> {
    #[default]
    None,
    Few(Arc<Few<T>>),
    /// What follows the parameter. Stays a level, even if it comes to hold few, until it is empty.
    Many(Box<Level<T>>),
}

/// At most [`FEW_MAX`] tails.
#[derive(Debug)]
pub(crate) struct Few<T> {
    /// In the order of precedence.
    tails: Box<[Item<T>]>,
    /// For a path, the most specific of the tails that the router holds, as the [`Order`] in which
    /// all tails that overlap with it are tried. None where there is little to route.
    router: Option<matchit::Router<Order>>,
    /// Those to try where the router finds nothing: the ones it doesn't hold.
    rest: Order,
}

#[derive(Clone, Debug)]
struct Item<T> {
    segments: Arc<[Segment]>,
    end: End,
    leaf: Leaf<T>,
}

/// Indexes of tails, ascending.
type Order = Box<[u8]>;

/// A split costs a hash and a look-up more for each request; a router costs about half a
/// microsecond per tail to rebuild, and the orders grow with the square.
const FEW_MAX: usize = 16;
/// Fewer are compared faster than routed.
const ROUTER_MIN: usize = 4;

impl<T: Clone> Tails<T> {
    /// As [`Level::find`]; `rest` is not empty.
    pub(crate) fn find<'t>(&'t self, rest: &str, search: &mut Search<'_, 't>) -> Option<&'t T> {
        match self {
            Self::None => None,
            Self::Few(few) => few.find(rest, search),
            Self::Many(level) => {
                let parameter = rest.strip_prefix('/')?;
                let end = segment_len(parameter);
                let after = &parameter[end..];
                (end > 0).then(|| level.find(after, search)).flatten()
            }
        }
    }

    /// As [`Level::edit`]; every edit's shape begins with a parameter.
    pub(crate) fn edit(&mut self, service: &Name, edits: Vec<Edit<'_, T>>) {
        match self {
            Self::None => self.rebuild(Vec::new(), service, edits),
            Self::Few(few) => {
                let items = few.tails.to_vec();
                self.rebuild(items, service, edits);
            }
            Self::Many(level) => {
                level.edit(service, edits.into_iter().map(after_parameter).collect());
                if level.is_vacant() {
                    *self = Self::None;
                }
            }
        }
    }

    fn rebuild(&mut self, mut items: Vec<Item<T>>, service: &Name, edits: Vec<Edit<'_, T>>) {
        let mut edits = edits.into_iter();
        // Past the bound, comparing each with each is over; what is left goes to the level.
        while items.len() <= FEW_MAX
            && let Some(Edit { shape, comes }) = edits.next()
        {
            match items.iter().position(|item| item.shape() == shape) {
                Some(at) => {
                    items[at].leaf.edit(service, comes.as_ref());
                    if items[at].leaf.is_vacant() {
                        items.swap_remove(at);
                    }
                }
                None if comes.is_some() => {
                    let mut item = Item::new(shape);
                    item.leaf.edit(service, comes.as_ref());
                    items.push(item);
                }
                None => {}
            }
        }
        *self = if items.len() > FEW_MAX {
            let mut level = Box::<Level<T>>::default();
            let held = items.iter().flat_map(Item::as_edits);
            level.edit(service, held.map(after_parameter).collect());
            level.edit(service, edits.map(after_parameter).collect());
            Self::Many(level)
        } else if items.is_empty() {
            Self::None
        } else {
            Self::Few(Arc::new(Few::new(items)))
        };
    }
}

impl<T: Clone> Few<T> {
    fn new(mut items: Vec<Item<T>>) -> Self {
        items.sort_by(|a, b| a.shape().cmp(&b.shape()));
        let indexed = || (0_u8..).zip(&items);
        let mut router = (items.len() >= ROUTER_MIN).then(matchit::Router::new);
        let mut rest = Vec::new();
        for (n, item) in indexed() {
            let meet = |other: &Item<T>| item.shape().overlaps(other.shape());
            let order = indexed().filter(|(_, other)| meet(other)).map(|(n, _)| n);
            // A router holds no star beside a parameter. What else it refuses is no reason to fail.
            let held = match &mut router {
                Some(router) if item.end != End::Below => {
                    let order: Order = order.collect();
                    router.insert(route_text(&item.segments), order).is_ok()
                }
                _ => false,
            };
            if !held {
                rest.push(n);
            }
        }
        Self {
            tails: items.into(),
            router,
            rest: rest.into(),
        }
    }

    fn find<'t>(&'t self, rest: &str, search: &mut Search<'_, 't>) -> Option<&'t T> {
        let routed = self.router.as_ref().map(|router| router.at(rest));
        let order = match routed {
            Some(Ok(found)) => found.value,
            Some(Err(_)) | None => &self.rest,
        };
        let tails = order.iter().filter_map(|&n| self.tails.get(usize::from(n)));
        tails
            .filter(|item| item.shape().matches(rest))
            .find_map(|item| search.first(&item.leaf))
    }
}

impl<T: Clone> Item<T> {
    fn new(shape: Shape<'_>) -> Self {
        Self {
            segments: shape.segments().into(),
            end: shape.end(),
            leaf: Leaf::default(),
        }
    }

    fn shape(&self) -> Shape<'_> {
        Shape::new(&self.segments, self.end)
    }

    fn as_edits(&self) -> impl Iterator<Item = Edit<'_, T>> {
        self.leaf.candidates().map(|candidate| Edit {
            shape: self.shape(),
            comes: Some(candidate.clone()),
        })
    }
}

impl<T: Clone> Vacant for Tails<T> {
    fn is_vacant(&self) -> bool {
        matches!(self, Self::None)
    }
}

fn after_parameter<T>(edit: Edit<'_, T>) -> Edit<'_, T> {
    let Edit { shape, comes } = edit;
    Edit {
        shape: shape.after(1),
        comes,
    }
}

/// A tail in matchit's spelling. The literals need no escape: no pattern has a brace in one.
fn route_text(segments: &[Segment]) -> String {
    let mut text = String::new();
    for segment in segments {
        text.push('/');
        text.push_str(match segment {
            Segment::Literal(literal) => literal,
            Segment::Parameter(_) => "{p}",
        });
    }
    text
}
