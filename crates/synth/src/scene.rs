//! One dish on one table under one light, and the light that each line of sight meets.

use glam::{Vec2, Vec3};

use crate::camera::Ray;
use crate::cutlery::Cutlery;
use crate::design::Design;
use crate::dirt::Dirt;
use crate::light::Light;
use crate::noise::smoothstep;
use crate::table::Table;

/// All that is in front of the camera.
pub(crate) struct Scene {
    pub(crate) light: Light,
    pub(crate) table: Table,
    pub(crate) design: Design,
    pub(crate) dirt: Option<Dirt>,
    pub(crate) cutlery: Option<Cutlery>,
    /// Where the dish stands on the table.
    pub(crate) center: Vec2,
    /// Radius of the dish.
    pub(crate) radius: f32,
    /// Direction of the dish's own x axis.
    pub(crate) turn: Vec2,
    pub(crate) seed: u32,
}

/// Width over which the rim blends into the table, about one and a half samples.
const RIM_BLEND: f32 = 0.009;

impl Scene {
    /// The light that reaches the camera along a line of sight (linear, about 1 for white).
    pub(crate) fn radiance(&self, ray: Ray) -> Vec3 {
        let mouth = self.to_dish(ray.at_height(self.design.form.rim * self.radius));
        // Along the rim both are seen, as much as the sample's width covers of each.
        let cover = 0.5 + (1.0 - self.design.form.outline.rho(mouth)) * self.radius / RIM_BLEND;
        if cover >= 1.0 {
            return self.dish(ray, mouth);
        }
        let table = self.table(ray, ray.at_height(0.0));
        if cover <= 0.0 { table } else { table.lerp(self.dish(ray, mouth), cover) }
    }

    /// A place on the table in the dish's own coordinates.
    pub(crate) fn to_dish(&self, place: Vec2) -> Vec2 {
        self.turn_to_dish(place - self.center) / self.radius
    }

    fn turn_to_dish(&self, direction: Vec2) -> Vec2 {
        Vec2::new(self.turn.dot(direction), self.turn.perp_dot(direction))
    }

    fn turn_to_table(&self, direction: Vec2) -> Vec2 {
        self.turn.rotate(direction)
    }

    /// Towards the key light in the dish's coordinates: sideways steps per unit of height.
    fn sun_drift(&self) -> Vec2 {
        self.turn_to_dish(self.light.key.truncate()) / self.light.key.z
    }

    /// The table at a place, in the shadow of the dish.
    fn table(&self, ray: Ray, place: Vec2) -> Vec3 {
        let form = &self.design.form;
        let p = self.to_dish(place);
        let clear = self.design.material.clear;
        let rho = form.outline.rho(p);
        // The rim's shadow, and that of the foot, which keeps the dish on the ground.
        let soft = 0.03 + self.light.penumbra * form.rim;
        let rim = form.outline.rho(p + self.sun_drift() * form.rim * 0.9);
        let foot = form.outline.rho(p + self.sun_drift() * form.rim * 0.3) / 0.8;
        let sun = smoothstep(1.0 - soft, 1.0 + soft, rim).min(smoothstep(
            1.0 - 0.5 * soft,
            1.0 + 0.5 * soft,
            foot,
        ));
        let gap = ((rho - 1.0) / (0.05 + 0.9 * form.rim)).max(0.0);
        let sky = 1.0 - 0.62 / ((1.0 + gap) * (1.0 + gap) * (1.0 + gap));
        let (sun, sky) = (sun + 0.6 * clear * (1.0 - sun), sky + 0.6 * clear * (1.0 - sky));
        let matte = self.table.albedo(place) * self.light.arriving(Vec3::Z, sun, sky);
        let (mirror, roughness) = self.table.gloss();
        let mut shine = Vec3::ZERO;
        if mirror > 0.0 {
            let reflected = ray.direction * Vec3::new(1.0, 1.0, -1.0);
            shine = self.light.seen(reflected, roughness) * fresnel(mirror, -ray.direction.z) * sky;
        }
        let mut light = matte + shine;
        if let Some(cutlery) = &self.cutlery {
            light *= cutlery.shade(place, &self.light);
            if let Some((cover, steel)) = cutlery.seen(place, ray, &self.light) {
                light = light.lerp(steel * (0.4 + 0.6 * sun), cover);
            }
        }
        light * self.light.falloff(place)
    }

    /// The dish where a ray that enters its mouth meets it.
    fn dish(&self, ray: Ray, mouth: Vec2) -> Vec3 {
        let form = &self.design.form;
        let (p, height) = form.meet(mouth, self.turn_to_dish(ray.drift()));
        let rho = form.outline.rho(p);
        let mut slope = form.slope(p, height);
        let mut skin = crate::surface::Skin::bare(&self.design, p, rho, self.seed);
        slope += skin.slope;
        let mut shade = 1.0;
        if let Some(dirt) = &self.dirt {
            slope += skin.soil(dirt, p);
            // Crumbs shade what lies behind them.
            let behind = dirt.food.sample(p + self.sun_drift().clamp_length_max(0.7) * 0.018).w;
            shade = 1.0 - 0.5 * behind * (1.0 - skin.food);
        }
        let slope = self.turn_to_table(slope);
        let normal = Vec3::new(-slope.x, -slope.y, 1.0).normalize();

        let depth = (form.rim - height).max(0.0);
        let over = form.outline.rho(p + self.sun_drift() * depth);
        let soft = 0.02 + 0.8 * self.light.penumbra * depth;
        let sun = smoothstep(1.0 + soft, 1.0 - soft, over) * shade;
        // Sky seen from the bottom of a well of radius 1, and what the walls send on.
        let sky = 1.0 / (1.0 + 2.2 * depth * depth);
        let arriving = self.light.arriving(normal, sun, sky * (0.6 + 0.4 * shade));
        let walls = skin.color * (self.light.arriving(Vec3::Z, 0.6, 0.8) * (1.0 - sky));
        let mut matte = skin.color * (arriving + walls);

        if skin.clear > 0.0 {
            let behind =
                self.center + self.turn_to_table(p + self.turn_to_dish(slope) * 0.1) * self.radius;
            let through = self.table.albedo(behind) * self.light.arriving(Vec3::Z, 0.55, 0.5);
            let thick = 1.0 - 0.5 * smoothstep(0.3, 1.6, slope.length());
            matte = matte.lerp(through * skin.tint * 1.6 * thick, skin.clear);
        }

        let reflected = ray.direction - 2.0 * ray.direction.dot(normal) * normal;
        let share = fresnel(skin.mirror, -ray.direction.dot(normal));
        let shine = self.mirrored(p, depth, reflected, skin.roughness) * skin.shine_tint;
        let light = matte * (1.0 - skin.metal) + shine * share;
        light * self.light.falloff(self.center + self.turn_to_table(p) * self.radius)
    }

    /// What a mirror inside of the dish shows: the room, or after one more reflection the room
    /// over the opposite wall.
    fn mirrored(&self, p: Vec2, depth: f32, direction: Vec3, roughness: f32) -> Vec3 {
        let room = self.light.seen(direction, roughness);
        if depth < 0.02 {
            return room;
        }
        let flat = self.turn_to_dish(direction.truncate());
        let leave = p + flat * (depth / direction.z.max(0.05));
        let blocked = smoothstep(0.75, 1.35, self.design.form.outline.rho(leave));
        if blocked <= 0.0 {
            return room;
        }
        let wall = -self.turn_to_table(leave.normalize_or_zero());
        let normal = (wall.extend(0.8)).normalize();
        let bounced = direction - 2.0 * direction.dot(normal) * normal;
        let up = Vec3::new(bounced.x, bounced.y, bounced.z.abs());
        let material = &self.design.material;
        let tint = material.color * (0.45 + 0.4 * material.metal);
        room.lerp(self.light.seen(up, roughness + 0.1) * tint, blocked)
    }
}

/// Mirrored share of light by angle (Schlick 1994).
fn fresnel(mirror: f32, cosine: f32) -> f32 {
    let x = 1.0 - cosine.clamp(0.0, 1.0);
    let x2 = x * x;
    mirror + (1.0 - mirror) * x2 * x2 * x
}
