//! Giving work to those who have none.

use super::Scheduler;
use super::again::Place;
use super::event::{DeviceId, Effect, SlotId};
use super::policy::Time;
use super::slot::{Hand, Slot};
use super::waiting::Prefix;

impl Scheduler {
    /// Gives every idle worker something to do or lets it go, and starts workers where there is work.
    pub(super) fn hand_out(&mut self, now: Time, effects: &mut Vec<Effect>) {
        for id in 0..self.slots.len() {
            let Slot::Idle { warm } = self.slots[id] else { continue };
            match self.next_bundle(now, id, warm) {
                Some(busy) => {
                    if let Slot::Busy { hand, .. } = &busy {
                        effects.push(Effect::Assign(id, hand.rest().iter().copied().collect()));
                    }
                    self.slots[id] = busy;
                }
                None => {
                    self.slots[id] = Slot::Leaving;
                    effects.push(Effect::Retire(id));
                }
            }
        }
        for id in 0..self.slots.len() {
            if self.slots[id].is_vacant() && self.wants_worker(now, id) {
                self.slots[id] = Slot::Starting { since: now };
                effects.push(Effect::Start(id));
            }
        }
    }

    fn next_bundle(&mut self, now: Time, id: SlotId, warm: Option<Prefix>) -> Option<Slot> {
        let device = self.homes[id];
        if self.health[device].is_out || self.is_reserved(device) {
            return None;
        }
        let busy: Vec<Prefix> = self.slots.iter().filter_map(Slot::prefix).collect();
        let shares = self.homes.iter().filter(|&&home| !self.health[home].is_out).count();
        let heard = now;
        if let Some((prefix, runs)) = self.waiting.take(warm, &busy, shares) {
            return Some(Slot::Busy { prefix, hand: Hand::new(runs), heard, alone: false });
        }
        let retry = self.again.take(self.place(id), now)?;
        let hand = Hand::new(vec![retry.run]);
        Some(Slot::Busy { prefix: retry.prefix, hand, heard, alone: retry.alone })
    }

    /// Whether work is there for one more worker in this slot, besides those that come up.
    fn wants_worker(&self, now: Time, id: SlotId) -> bool {
        let health = &self.health[self.homes[id]];
        if health.is_out || health.not_before > now || self.is_reserved(self.homes[id]) {
            return false;
        }
        let starting = self.slots.iter().filter(|slot| matches!(slot, Slot::Starting { .. }));
        self.waiting.len() + self.again.ready(self.place(id), now) > starting.count()
    }

    fn place(&self, id: SlotId) -> Place {
        let device = self.homes[id];
        let left = self.health.iter().filter(|health| !health.is_out).count();
        Place { device, empty: !self.has_neighbours(id), only: left == 1 }
    }

    /// Whether a run has the device for itself.
    fn is_reserved(&self, device: DeviceId) -> bool {
        let here = self.slots.iter().zip(&self.homes).filter(|(_, home)| **home == device);
        here.into_iter().any(|(slot, _)| matches!(slot, Slot::Busy { alone: true, .. }))
    }

    /// Whether another worker is on the slot's device.
    fn has_neighbours(&self, id: SlotId) -> bool {
        let others =
            self.slots.iter().zip(&self.homes).enumerate().filter(|(other, _)| *other != id);
        others.into_iter().any(|(_, (slot, home))| *home == self.homes[id] && !slot.is_vacant())
    }

    /// Takes down whose device's memory is not for one run alone: other workers are company, and so is whoever
    /// trains beside a run in one worker.
    pub(super) fn note_company(&mut self) {
        for id in 0..self.slots.len() {
            let neighbours = self.has_neighbours(id);
            if let Slot::Busy { hand, .. } = &mut self.slots[id]
                && (neighbours || hand.begun().nth(1).is_some())
            {
                hand.share();
            }
        }
    }
}
