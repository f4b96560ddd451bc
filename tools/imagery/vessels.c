/* SPDX-License-Identifier: BSD-2-Clause */
#include "vessels.h"

#include <math.h>

static const double step = 0.7;
static const double whole_turn = 6.283185307179586;

static void stamp(struct image *cover, double x, double y, double radius)
{
    const double reach = radius + 0.5;
    const int64_t left = (int64_t)fmax(ceil(x - reach), 0);
    const int64_t right = (int64_t)fmin(floor(x + reach), (double)(cover->width - 1));
    const int64_t top = (int64_t)fmax(ceil(y - reach), 0);
    const int64_t bottom = (int64_t)fmin(floor(y + reach), (double)(cover->height - 1));
    for (int64_t row = top; row <= bottom; row++) {
        for (int64_t column = left; column <= right; column++) {
            const double dx = (double)column - x;
            const double dy = (double)row - y;
            const float part = (float)fmin(reach - sqrt(dx * dx + dy * dy), 1);
            float *pixel = cover->pixels + row * cover->width + column;
            *pixel = part > *pixel ? part : *pixel;
        }
    }
}

static bool is_outside(const struct image *cover, const struct vessel *vessel)
{
    const double margin = 4 + vessel->radius;
    return vessel->x < -margin || vessel->y < -margin ||
           vessel->x > (double)cover->width + margin || vessel->y > (double)cover->height + margin;
}

/* Whether the place just ahead lies in a vessel already. */
static bool runs_into(const struct image *cover, const struct vessel *vessel)
{
    const double ahead = vessel->radius + 1.8;
    const int64_t x = (int64_t)floor(vessel->x + ahead * cos(vessel->angle) + 0.5);
    const int64_t y = (int64_t)floor(vessel->y + ahead * sin(vessel->angle) + 0.5);
    return x >= 0 && y >= 0 && x < cover->width && y < cover->height &&
           cover->pixels[y * cover->width + x] > 0.3f;
}

static struct vessel branch_of(const struct vessel *vessel, const struct vessel_tree *tree,
                               double side, struct chance *chance)
{
    struct vessel branch = *vessel;
    branch.angle += side * chance_between(chance, 0.5, 1.3);
    branch.radius *= chance_between(chance, 0.5, 0.85);
    branch.length *= tree->branch_part * chance_between(chance, 0.6, 1.4);
    branch.bend = 0.006 * chance_normal(chance);
    branch.pull = tree->branch_pull * chance_between(chance, -0.4, 1.6);
    branch.crosses = false;
    return branch;
}

/* Moves the vessel one step on. */
static void advance(struct vessel *vessel, const struct vessel_tree *tree, struct chance *chance)
{
    const double dx = tree->center_x - vessel->x;
    const double dy = tree->center_y - vessel->y;
    const double towards = remainder(atan2(dy, dx) - vessel->angle, whole_turn);
    vessel->angle += step * (vessel->bend + vessel->pull * towards) +
                     tree->wobble * sqrt(step) * chance_normal(chance);
    vessel->x += step * cos(vessel->angle);
    vessel->y += step * sin(vessel->angle);
    vessel->radius *= 1 - 0.35 * step / vessel->length;
}

static bool must_end(const struct vessel *vessel, const struct vessel_tree *tree, double walked)
{
    return distance_of(vessel->x, vessel->y, tree->center_x, tree->center_y) < tree->clear_radius ||
           is_outside(tree->cover, vessel) ||
           (!vessel->crosses && walked > 2 * vessel->radius + 3 && runs_into(tree->cover, vessel));
}

void vessel_grow(const struct vessel_tree *tree, struct vessel vessel, int depth,
                 struct chance *chance)
{
    double side = chance_happens(chance, 0.5) ? 1 : -1;
    double next_branch = tree->branch_distance * chance_between(chance, 0.4, 1.2);
    for (double walked = 0; walked < vessel.length; walked += step) {
        if (must_end(&vessel, tree, walked)) {
            break;
        }
        advance(&vessel, tree, chance);
        stamp(tree->cover, vessel.x, vessel.y, vessel.radius);
        next_branch -= step;
        if (depth > 0 && next_branch <= 0) {
            const struct vessel branch = branch_of(&vessel, tree, side, chance);
            if (branch.radius >= tree->thinnest) {
                vessel_grow(tree, branch, depth - 1, chance);
            }
            next_branch = tree->branch_distance * chance_between(chance, 0.5, 1.5);
            side = chance_happens(chance, 0.7) ? -side : side;
        }
    }
}

double distance_of(double x0, double y0, double x1, double y1)
{
    return sqrt((x1 - x0) * (x1 - x0) + (y1 - y0) * (y1 - y0));
}

bool field_create(struct image *result, int64_t width, int64_t height, double cell,
                  struct chance *chance, struct image_error *error)
{
    struct image coarse;
    *result = (struct image){0};
    if (!image_create(&coarse, (int64_t)fmin(ceil((double)width / cell), (double)width) + 1,
                      (int64_t)fmin(ceil((double)height / cell), (double)height) + 1, 1, error)) {
        return false;
    }
    for (int64_t i = 0; i < image_pixels(&coarse); i++) {
        /* Blending between the corners of a cell takes about a third of the deviation away. */
        coarse.pixels[i] = (float)(1.5 * chance_normal(chance));
    }
    const bool made = image_resize(result, &coarse, width, height, error);
    image_destroy(&coarse);
    return made;
}

double soft_spot(double distance, double radius)
{
    const double t = 1 - distance / radius;
    return t <= 0 ? 0 : t * t * (3 - 2 * t);
}
