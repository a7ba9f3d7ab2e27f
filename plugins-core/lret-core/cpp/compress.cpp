// Truncation: fewer columns for nearly the same L L^dagger.
//
// For any W with orthonormal columns, L L^dagger - (L W)(L W)^dagger = L (1 - W W^dagger) L^dagger is positive
// semidefinite, so the trace it lacks is exactly what L -> L W drops. W need not be made of eigenvectors: it is an
// orthonormal basis of the range of a pivoted Cholesky factor of G = L^dagger L, which costs a fraction of an
// eigendecomposition and finds duplicate columns at once. See docs/developer-guide/lowrank.md.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "factor.h"

namespace proxima {
namespace {

// Rows of complex numbers as two planes.
struct Rows {
    size_t length;
    std::vector<std::vector<double>> re, im;

    explicit Rows(size_t length) : length(length) {}
    size_t count() const { return re.size(); }
    void add() {
        re.emplace_back(length);
        im.emplace_back(length);
    }
};

using Subtract = decltype(Kernels<double>::subtract);

// Rows R with R^dagger R <= G: steps of Cholesky with the largest remaining diagonal as pivot, until the trace that
// remains is at most `enough`, or there would be more than `most` rows. Of a column's diagonal, what is below `noise`
// times its first value is rounding and counts as 0.
// On return `remaining` is the trace of G - R^dagger R.
Rows pivoted_cholesky(const Rows& gram, double enough, double noise, size_t most, double& remaining, Poll& poll) {
    const size_t n = gram.length;
    const Subtract subtract = kernels<double>().subtract;
    Rows rows(n);
    std::vector<double> diagonal(n);
    for (size_t j = 0; j < n; ++j) diagonal[j] = gram.re[j][j];
    remaining = std::accumulate(diagonal.begin(), diagonal.end(), 0.0);
    while (remaining > enough && rows.count() < most) {
        poll();
        const size_t pivot = size_t(std::max_element(diagonal.begin(), diagonal.end()) - diagonal.begin());
        const size_t at = rows.count();
        rows.add();
        double *re = rows.re[at].data(), *im = rows.im[at].data();
        std::copy(gram.re[pivot].begin(), gram.re[pivot].end(), re);
        std::copy(gram.im[pivot].begin(), gram.im[pivot].end(), im);
        for (size_t m = 0; m < at; ++m)
            subtract(re, im, rows.re[m][pivot], -rows.im[m][pivot], rows.re[m].data(), rows.im[m].data(), n);
        const double scale = 1 / std::sqrt(diagonal[pivot]);
        remaining = 0;
        for (size_t j = 0; j < n; ++j) {
            re[j] *= scale, im[j] *= scale;
            diagonal[j] -= re[j] * re[j] + im[j] * im[j];
            if (j == pivot || diagonal[j] < noise * gram.re[j][j]) diagonal[j] = 0;
            remaining += diagonal[j];
        }
    }
    return rows;
}

// Gram-Schmidt, twice over: `rows` become orthonormal. The result is, for each, the weight of G that it carries,
// |R q|^2 summed over R's rows: a lower bound, since R^dagger R <= G.
std::vector<double> orthonormalise(Rows& rows, Poll& poll) {
    const Kernels<double>& k = kernels<double>();
    std::vector<double> weights(rows.count());
    for (size_t i = 0; i < rows.count(); ++i) {
        poll();
        double *re = rows.re[i].data(), *im = rows.im[i].data(), product[2];
        for (int pass = 0; pass < 2; ++pass)
            for (size_t m = 0; m < i; ++m) {
                const double *mr = rows.re[m].data(), *mi = rows.im[m].data();
                k.dot(mr, mi, re, im, rows.length, product);
                k.subtract(re, im, product[0], product[1], mr, mi, rows.length);
                if (pass == 0) weights[m] += product[0] * product[0] + product[1] * product[1];
            }
        k.dot(re, im, re, im, rows.length, product);
        weights[i] += product[0];
        const double scale = product[0] > 0 ? 1 / std::sqrt(product[0]) : 0;
        for (size_t j = 0; j < rows.length; ++j) re[j] *= scale, im[j] *= scale;
    }
    return weights;
}

// At least the 2-norm of |W|: the root of its largest row sum times its largest column sum.
double absolute_norm(const Rows& rows) {
    std::vector<double> sums(rows.length);
    double most = 0;
    for (size_t i = 0; i < rows.count(); ++i) {
        double sum = 0;
        for (size_t j = 0; j < rows.length; ++j) {
            const double size = std::hypot(rows.re[i][j], rows.im[i][j]);
            sum += size;
            sums[j] += size;
        }
        most = std::max(most, sum);
    }
    return std::sqrt(most * *std::max_element(sums.begin(), sums.end()));
}

}  // namespace

// Whether columns overlap so much that a truncation is sure to find several to each dimension: judged by the Gram matrix
// of a few pairs of tiles, more where there are more columns. Of r columns at random in D dimensions the squared cosines
// sum to r / D for each.
template <typename T>
bool Factor<T>::overlaps(Poll& poll) const {
    constexpr size_t L = LANES<T>;
    constexpr double ENOUGH = 32;
    const size_t tiles = tiles_.size(), r = rank();
    std::vector<std::pair<size_t, size_t>> pairs(std::clamp<size_t>(r / 64, 2, 12));
    uint64_t state = 1;
    for (auto& [a, b] : pairs) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        a = (state >> 33) % tiles;
        b = (state >> 13) % tiles;
    }
    std::vector<double> sums(pairs.size()), counts(pairs.size());
    parallel_for(threads_, pairs.size(), poll, [&](size_t at) {
        const auto [a, b] = pairs[at];
        std::vector<double> re(L * L), im(L * L);
        kernels_.gram(tiles_[a].get(), tiles_[b].get(), rows_, re.data(), im.data());
        for (size_t i = a * L; i < std::min(r, (a + 1) * L); ++i)
            for (size_t j = b * L; j < std::min(r, (b + 1) * L); ++j) {
                const size_t e = (i - a * L) * L + (j - b * L);
                const double norms = weights_[i] * weights_[j];
                if (i == j || norms <= 0) continue;
                sums[at] += (re[e] * re[e] + im[e] * im[e]) / norms;
                counts[at] += 1;
            }
    });
    const double count = std::accumulate(counts.begin(), counts.end(), 0.0);
    const double sum = std::pow(scale_, 4) * std::accumulate(sums.begin(), sums.end(), 0.0);
    return count == 0 || sum / count * double(r) > ENOUGH;
}

template <typename T>
void Factor<T>::compress(bool forced, Poll& poll) {
    constexpr int L = LANES<T>;
    const size_t tiles = tiles_.size(), r = rank();
    const double allowed = std::max(0.0, budget.allowed()) / (scale_ * scale_);
    next_compress_ = std::max(FIRST_COMPRESS, r + r * 3 / 5);
    if (this->tile_bytes() * double((tape_ ? 2 : 1) * tiles + 2) + 48.0 * double(r) * double(r) > memory_) return;

    if (r < rows_ && !forced && !overlaps(poll)) return;
    const std::vector<double> norms = this->stored_norms(poll);
    const double trace = std::accumulate(norms.begin(), norms.end(), 0.0);
    Rows gram(r);
    for (size_t j = 0; j < r; ++j) gram.add();
    std::vector<std::pair<size_t, size_t>> pairs;
    for (size_t a = 0; a < tiles; ++a)
        for (size_t b = a; b < tiles; ++b) pairs.emplace_back(a, b);
    parallel_for(threads_, pairs.size(), poll, [&](size_t at) {
        const auto [a, b] = pairs[at];
        std::vector<double> re(size_t(L) * L), im(size_t(L) * L);
        kernels_.gram(tiles_[a].get(), tiles_[b].get(), rows_, re.data(), im.data());
        for (size_t i = a * L; i < std::min(r, (a + 1) * L); ++i)
            for (size_t j = b * L; j < std::min(r, (b + 1) * L); ++j) {
                const size_t e = (i - a * L) * L + (j - b * L);
                gram.re[i][j] = gram.re[j][i] = re[e];
                gram.im[i][j] = im[e];
                gram.im[j][i] = -im[e];
            }
    });

    // What is found may be used up in part by what the decomposition leaves, and then by its own lightest rows.
    double remaining;
    const double roundoff = std::numeric_limits<T>::epsilon() / 2;
    Rows rows = pivoted_cholesky(gram, 0.3 * allowed, 16 * roundoff, r * 17 / 20, remaining, poll);
    const std::vector<double> carried = orthonormalise(rows, poll);
    std::vector<size_t> kept(rows.count());
    std::iota(kept.begin(), kept.end(), size_t(0));
    std::stable_sort(kept.begin(), kept.end(), [&](size_t a, size_t b) { return carried[a] > carried[b]; });
    // A sum over LANES columns and then over the tiles, of complex products, plus the rounding of W itself.
    const double rounding = roundoff * (2 * L + double(tiles) + 3) * absolute_norm(rows);
    const double left = 0.98 * allowed - rounding / (scale_ * scale_);
    if (remaining > left) return;
    while (kept.size() > 1 && remaining + carried[kept.back()] <= left) {
        remaining += carried[kept.back()];
        kept.pop_back();
    }

    const size_t wanted = (kept.size() + L - 1) / L;
    std::vector<Tile> weights;  // for each new tile, the blocks of W that its columns take of each old tile
    for (size_t t = 0; t < wanted; ++t) {
        Tile block = this->new_scratch(tiles * L);
        std::fill(block.get(), block.get() + tiles * L * 2 * L, T(0));
        for (size_t i = t * L; i < std::min(kept.size(), (t + 1) * L); ++i)
            for (size_t j = 0; j < r; ++j) {
                T* to = block.get() + j * 2 * L + (i - t * L);
                to[0] = T(rows.re[kept[i]][j]);
                to[L] = T(-rows.im[kept[i]][j]);
            }
        weights.push_back(std::move(block));
    }
    if (tape_) {
        Truncation<Tile> done{tape_->step, r, {}, {}, copies(tiles_)};
        for (size_t i : kept) {
            done.re.push_back(rows.re[i]);
            done.im.push_back(rows.im[i]);
        }
        tape_->entries.emplace_back(std::move(done));
        memory_ -= bytes();  // the copy's
    }
    const size_t block_rows = std::min<size_t>(rows_, 64);
    parallel_for(threads_, rows_ / block_rows, poll, [&](size_t block) {
        const size_t size = block_rows * 2 * L;
        const Tile result = this->new_scratch(wanted * block_rows);
        std::vector<const T*> from;
        for (const Tile& tile : tiles_) from.push_back(tile.get() + block * size);
        for (size_t t = 0; t < wanted; ++t)
            kernels_.multiply(result.get() + t * size, from.data(), int(tiles), block_rows, weights[t].get());
        for (size_t t = 0; t < wanted; ++t)
            std::copy(result.get() + t * size, result.get() + (t + 1) * size, tiles_[t].get() + block * size);
    });
    tiles_.resize(wanted);
    weights_ = this->stored_norms(poll);
    weights_.resize(kept.size());
    const double now = std::accumulate(weights_.begin(), weights_.end(), 0.0);
    for (double& weight : weights_) weight *= scale_ * scale_;
    budget.spent += std::max(0.0, trace - now) * scale_ * scale_;
    budget.rounding += rounding;
    next_compress_ = std::max(FIRST_COMPRESS, kept.size() + kept.size() * 3 / 5);
}

template void Factor<float>::compress(bool, Poll&);
template void Factor<double>::compress(bool, Poll&);

}  // namespace proxima
