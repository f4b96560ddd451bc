/* SPDX-License-Identifier: BSD-2-Clause */
#include "angiogram.h"

#include "vessels.h"

#include <math.h>
#include <stdio.h>

static const double half_turn = 3.141592653589793;

/* Lengths in scene.scale pixels are those of a picture of 96 x 96. */
struct scene {
    double scale;
    double center_x;
    double center_y;
    double dark_radius; /* of the avascular zone */
    double depth;       /* brightness of the capillaries */
    double vessel_light;
    double speckle;
    double noise;
    double gamma;
};

static struct scene choose_scene(int64_t width, int64_t height, struct chance *chance)
{
    struct scene scene;
    scene.scale = (double)(width < height ? width : height) / 96;
    scene.center_x = (double)width * (0.5 + 0.05 * chance_normal(chance));
    scene.center_y = (double)height * (0.5 + 0.05 * chance_normal(chance));
    scene.dark_radius = scene.scale * chance_between(chance, 3.5, 7);
    scene.depth = chance_between(chance, 0.16, 0.4);
    scene.vessel_light = chance_between(chance, 0.55, 0.95);
    scene.speckle = chance_between(chance, 0.15, 0.35);
    scene.noise = chance_between(chance, 0.02, 0.06);
    scene.gamma = chance_between(chance, 0.8, 1.3);
    return scene;
}

/* An arcade: it enters at one side, above or below the fovea, and bends round it. */
static struct vessel arcade(const struct scene *scene, const struct image *cover, bool from_left,
                            bool above, struct chance *chance)
{
    const double off = (double)cover->height * chance_between(chance, 0.2, 0.46);
    const double outwards = chance_between(chance, -0.05, 0.45) * (above ? -1 : 1);
    return (struct vessel){
        .x = from_left ? -1 : (double)cover->width,
        .y = scene->center_y + (above ? -off : off),
        .angle = from_left ? outwards : half_turn - outwards,
        .bend = (from_left ? -2 : 2) * outwards / (double)cover->width,
        .radius = scene->scale * chance_between(chance, 0.8, 1.6),
        .length = (double)cover->width * 1.4,
        .crosses = true,
    };
}

/* A smaller vessel that comes from the edge and makes for the fovea. */
static struct vessel feeder(const struct scene *scene, struct chance *chance)
{
    const double turn = chance_between(chance, -half_turn, half_turn);
    const double away = scene->scale * chance_between(chance, 32, 52);
    return (struct vessel){
        .x = scene->center_x + away * cos(turn),
        .y = scene->center_y + away * sin(turn),
        .angle = turn + half_turn + 0.5 * chance_normal(chance),
        .radius = scene->scale * chance_between(chance, 0.5, 0.9),
        .length = scene->scale * chance_between(chance, 25, 50),
        .pull = 0.03 / scene->scale,
    };
}

static void draw_vessels(struct image *cover, const struct scene *scene, struct chance *chance)
{
    const double scale = scene->scale;
    const struct vessel_tree tree = {
        .cover = cover,
        .center_x = scene->center_x,
        .center_y = scene->center_y,
        .clear_radius = scene->dark_radius + scale * chance_between(chance, 3, 9),
        .wobble = chance_between(chance, 0.03, 0.07) / sqrt(scale),
        .branch_distance = scale * chance_between(chance, 8, 12),
        .branch_pull = 0.05 / scale,
        .branch_part = 0.26,
        .thinnest = 0.32 * scale,
    };
    const bool from_left = chance_happens(chance, 0.5);
    const int64_t arcades = 2 + chance_below(chance, 2);
    for (int64_t i = 0; i < arcades; i++) {
        const bool left = i < 2 ? from_left : chance_happens(chance, 0.5);
        vessel_grow(&tree, arcade(scene, cover, left, i % 2 == 0, chance), 2, chance);
    }
    for (int64_t feeders = 7 + chance_below(chance, 6); feeders > 0; feeders--) {
        vessel_grow(&tree, feeder(scene, chance), 1, chance);
    }
}

/* Short thin vessels of any direction that no mask shows. */
static void draw_capillaries(struct image *cover, const struct scene *scene, struct chance *chance)
{
    const struct vessel_tree tree = {
        .cover = cover,
        .center_x = scene->center_x,
        .center_y = scene->center_y,
        .clear_radius = scene->dark_radius,
        .wobble = 0.3 / sqrt(scene->scale),
        .branch_distance = 6 * scene->scale,
        .branch_part = 0.55,
        .thinnest = 0.1 * scene->scale,
    };
    const double area = (double)image_pixels(cover) / (scene->scale * scene->scale);
    const int64_t count = (int64_t)(area * chance_between(chance, 0.01, 0.02));
    for (int64_t i = 0; i < count; i++) {
        const struct vessel vessel = {
            .x = (double)cover->width * chance_unit(chance),
            .y = (double)cover->height * chance_unit(chance),
            .angle = chance_between(chance, -half_turn, half_turn),
            .radius = scene->scale * chance_between(chance, 0.1, 0.35),
            .length = scene->scale * chance_between(chance, 4, 14),
            .crosses = true,
        };
        vessel_grow(&tree, vessel, 1, chance);
    }
}

/* Multiplies the light: broad unevenness, a shadow, and the darkness of the fovea's surroundings.
 */
static void shade(struct image *light, const struct scene *scene, struct chance *chance)
{
    const double side = 96 * scene->scale;
    const double slope_x = 0.25 * chance_normal(chance) / side;
    const double slope_y = 0.25 * chance_normal(chance) / side;
    const double shadow_x = (double)light->width * chance_unit(chance);
    const double shadow_y = (double)light->height * chance_unit(chance);
    const double shadow_size = side * chance_between(chance, 0.15, 0.6);
    const double shadow = chance_happens(chance, 0.35) ? chance_between(chance, 0.3, 0.9) : 0;
    const double hollow = chance_between(chance, 0.1, 0.7);
    const double hollow_size = side * chance_between(chance, 0.25, 0.5);
    for (int64_t y = 0; y < light->height; y++) {
        for (int64_t x = 0; x < light->width; x++) {
            const double dx = (double)x - scene->center_x;
            const double dy = (double)y - scene->center_y;
            const double away = distance_of(0, 0, dx, dy);
            const double shadow_away = distance_of((double)x, (double)y, shadow_x, shadow_y);
            const double broad =
                1 + 0.18 * light->pixels[y * light->width + x] + slope_x * dx + slope_y * dy;
            light->pixels[y * light->width + x] =
                (float)(fmax(broad, 0.1) * (1 - hollow * soft_spot(away, hollow_size)) *
                        (1 - shadow * soft_spot(shadow_away, shadow_size)));
        }
    }
}

/* Where the eye has moved: some rows are brighter or darker, alone or in a band. */
static void draw_motion(struct image *light, struct chance *chance)
{
    int64_t lines = chance_happens(chance, 0.3) ? 1 + chance_below(chance, 3) : 0;
    for (; lines > 0; lines--) {
        const double part = chance_happens(chance, 0.6) ? chance_between(chance, 1.3, 2.2)
                                                        : chance_between(chance, 0.3, 0.8);
        const int64_t first = chance_below(chance, light->height);
        const int64_t rows = 1 + chance_below(chance, 1 + light->height / 32);
        for (int64_t y = first; y < first + rows && y < light->height; y++) {
            for (int64_t x = 0; x < light->width; x++) {
                light->pixels[y * light->width + x] *= (float)part;
            }
        }
    }
}

/* Puts the layers together: grain of capillaries, vessels, light, speckle, noise. */
static void expose(struct image *image, const struct image *vessels,
                   const struct image *capillaries, const struct image *grain,
                   const struct image *light, const struct scene *scene, struct chance *chance)
{
    for (int64_t y = 0; y < image->height; y++) {
        for (int64_t x = 0; x < image->width; x++) {
            const int64_t i = y * image->width + x;
            const double away = distance_of((double)x, (double)y, scene->center_x, scene->center_y);
            const double bed = 1 - soft_spot(away, 1.9 * scene->dark_radius);
            const double texture =
                fmax(0.75 + 0.3 * grain->pixels[i], 0) + 0.7 * capillaries->pixels[i];
            double value = scene->depth * texture * bed * bed;
            value += vessels->pixels[i] * (scene->vessel_light - 0.3 * value);
            value *= light->pixels[i] * (1 + scene->speckle * chance_normal(chance));
            value += scene->noise * (0.5 + chance_normal(chance));
            image->pixels[i] = (float)pow(fmin(fmax(value, 0), 1), scene->gamma);
        }
    }
}

static bool check_size(int64_t width, int64_t height, struct image_error *error)
{
    if (width < 16 || height < 16) {
        return image_fail(error, "angiogram of %lld x %lld: expected sides of 16 or more",
                          (long long)width, (long long)height);
    }
    return true;
}

bool angiogram_create(struct image *image, struct image *mask, int64_t width, int64_t height,
                      uint64_t seed, uint64_t index, struct image_error *error)
{
    struct chance chance = chance_start(seed, index);
    struct image capillaries = {0};
    struct image grain = {0};
    struct image light = {0};
    *image = (struct image){0};
    *mask = (struct image){0};
    if (!check_size(width, height, error)) {
        return false;
    }
    const struct scene scene = choose_scene(width, height, &chance);
    const bool made =
        image_create(image, width, height, 1, error) &&
        image_create(mask, width, height, 1, error) &&
        image_create(&capillaries, width, height, 1, error) &&
        field_create(&grain, width, height, fmax(1.6 * scene.scale, 1), &chance, error) &&
        field_create(&light, width, height, 22 * scene.scale, &chance, error);
    if (made) {
        draw_vessels(mask, &scene, &chance);
        draw_capillaries(&capillaries, &scene, &chance);
        shade(&light, &scene, &chance);
        draw_motion(&light, &chance);
        expose(image, mask, &capillaries, &grain, &light, &scene, &chance);
        image_threshold(mask, 0.5f);
    } else {
        image_destroy(image);
        image_destroy(mask);
    }
    image_destroy(&capillaries);
    image_destroy(&grain);
    image_destroy(&light);
    return made;
}

bool angiogram_dataset(struct dataset *result, int64_t first, int64_t count, int64_t width,
                       int64_t height, uint64_t seed, struct image_error *error)
{
    *result = (struct dataset){0};
    for (int64_t i = 0; i < count; i++) {
        struct image image;
        struct image mask;
        char name[48];
        snprintf(name, sizeof name, "angiogram-%06lld", (long long)(first + i));
        if (!angiogram_create(&image, &mask, width, height, seed, (uint64_t)(first + i), error) ||
            !dataset_add(result, name, -1, &image, &mask, error)) {
            dataset_destroy(result);
            return false;
        }
    }
    return true;
}
