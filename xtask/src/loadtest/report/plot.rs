//! Drawing: bars and lines as SVG. Colours can be told apart by the colour-blind, and every series of a line plot has a
//! mark of its own besides; ink is black and nothing else, so that a page can turn it white.

use std::fmt;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::super::statistics::Spread;

/// Width and height of a plot.
const SIZE: (u32, u32) = (820, 430);

/// What text is set in; the reader's own sans serif.
const FONT: &str = "sans-serif";

/// The colours of Okabe and Ito without the yellow and the black, which vanish on one ground or the other.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0x56, 0xb4, 0xe9),
    RGBColor(0x80, 0x80, 0x80),
];

/// A plot before it is drawn.
#[derive(Clone, Debug)]
pub(crate) struct Plot {
    pub(crate) title: String,
    /// What is told along the bottom, with its unit.
    pub(crate) across: String,
    /// What is told upwards, with its unit.
    pub(crate) upwards: String,
    /// Words along the bottom, where there are no numbers; points then say which one they are over.
    pub(crate) words: Option<Vec<String>>,
    /// Bars instead of lines; with words only.
    pub(crate) bars: bool,
    /// Is the scale upwards logarithmic? Zero is then left out.
    pub(crate) logarithmic: bool,
    pub(crate) series: Vec<Series>,
}

/// What belongs together.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) name: String,
    /// Which colour and mark; the same number looks the same in every plot.
    pub(crate) look: usize,
    pub(crate) points: Vec<Point>,
}

/// A number with its range.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
    /// From where to where the rounds lie, if there were several.
    pub(crate) range: Option<(f64, f64)>,
}

impl Point {
    /// A median in some unit, with its range.
    pub(crate) fn of(x: f64, spread: Spread, scale: f64) -> Self {
        let range = (spread.count > 1).then_some((spread.least * scale, spread.most * scale));
        Self { x, y: spread.median * scale, range }
    }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

impl Plot {
    /// Draws it; nothing where there are no points.
    pub(crate) fn svg(&self) -> Result<Option<String>> {
        if self.points().next().is_none() {
            return Ok(None);
        }
        let mut text = String::new();
        {
            let root = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
            self.draw(&root).map_err(|error| anyhow!("cannot draw \"{}\": {error}", self.title))?;
        }
        Ok(Some(text))
    }

    fn points(&self) -> impl Iterator<Item = &Point> {
        let shown = |point: &&Point| !self.logarithmic || point.y > 0.0;
        self.series.iter().flat_map(|series| &series.points).filter(shown)
    }

    fn draw(&self, root: &Area<'_>) -> Result<(), Box<dyn std::error::Error>> {
        root.draw(&Text::new(self.title.clone(), (14, 8), (FONT, 17).into_font().style(FontStyle::Bold)))?;
        let rows = self.legend(root)?;
        let (_, rest) = root.split_vertically(36 + 20 * rows);
        let most =
            self.points().map(|point| point.range.map_or(point.y, |range| range.1)).fold(0.0, f64::max);
        if self.logarithmic {
            let bottom = |point: &Point| point.range.map_or(point.y, |range| range.0.max(point.y / 100.0));
            let least = self.points().map(bottom).fold(f64::INFINITY, f64::min);
            let (least, most) = (decade(least, f64::floor), decade(most * 1.05, f64::ceil));
            self.draw_over(&rest, least, (least..most).log_scale())
        } else {
            // An empty scale would be none.
            let most = if most > 0.0 { most * 1.08 } else { 1.0 };
            self.draw_over(&rest, 0.0, 0.0..most)
        }
    }

    /// The plot itself, over a scale upwards that begins at `bottom`.
    fn draw_over<Y>(&self, area: &Area<'_>, bottom: f64, scale: Y) -> Result<(), Box<dyn std::error::Error>>
    where
        Y: AsRangedCoord<Value = f64>,
        Y::CoordDescType: ValueFormatter<f64>,
    {
        let across = self.range_across();
        let mut chart = ChartBuilder::on(area)
            .margin(10)
            .set_label_area_size(LabelAreaPosition::Left, 74)
            .set_label_area_size(LabelAreaPosition::Bottom, 48)
            .build_cartesian_2d(across.clone(), scale)?;
        let number = |value: &f64| short(*value).to_string();
        let mut mesh = chart.configure_mesh();
        mesh.disable_x_mesh()
            .bold_line_style(RGBColor(0x80, 0x80, 0x80).mix(0.35))
            .light_line_style(TRANSPARENT)
            .axis_style(BLACK)
            .label_style((FONT, 13))
            .axis_desc_style((FONT, 14))
            .x_desc(&*self.across)
            .y_desc(&*self.upwards)
            .x_label_formatter(&number)
            .y_label_formatter(&number)
            .y_labels(8);
        if self.words.is_some() {
            mesh.x_labels(0);
        }
        mesh.draw()?;
        if let Some(words) = &self.words {
            let style = (FONT, 13).into_font().color(&BLACK).pos(Pos::new(HPos::Center, VPos::Top));
            let (left, top) = area.get_base_pixel();
            for (place, word) in words.iter().enumerate() {
                let (x, y) = chart.backend_coord(&(count(place), bottom));
                area.draw(&Text::new(word.clone(), (x - left, y - top + 7), style.clone()))?;
            }
        }
        let many = self.series.len();
        for (place, series) in self.series.iter().enumerate() {
            let colour = COLOURS[series.look % COLOURS.len()];
            let mut points: Vec<Point> = series.points.clone();
            points.retain(|point| !self.logarithmic || point.y > 0.0);
            if self.bars {
                let width = 0.8 / count(many);
                for point in &mut points {
                    let left = point.x - 0.4 + width * count(place);
                    point.x = left + width / 2.0;
                    let bar = [(left, bottom), (left + width * 0.92, point.y)];
                    chart.draw_series([Rectangle::new(bar, colour.filled())])?;
                }
            } else {
                let path = points.iter().map(|point| (point.x, point.y));
                chart.draw_series(LineSeries::new(path, colour.stroke_width(2)))?;
                let marks = points.iter().map(|point| {
                    EmptyElement::at((point.x, point.y))
                        + Mark { look: series.look, colour, at: (0, 0) }.element()
                });
                chart.draw_series(marks)?;
            }
            let ranges = points.iter().filter_map(|point| Some((point.x, point.range?)));
            let ink = if self.bars { BLACK } else { colour };
            chart.draw_series(ranges.filter(|(_, (low, high))| low < high).map(|(x, (low, high))| {
                PathElement::new([(x, low.max(bottom)), (x, high)], ink.stroke_width(1))
            }))?;
        }
        Ok(())
    }

    fn range_across(&self) -> std::ops::Range<f64> {
        if let Some(words) = &self.words {
            return -0.5..count(words.len().max(1)) - 0.5;
        }
        let most = self.points().map(|point| point.x).fold(0.0, f64::max);
        0.0..if most > 0.0 { most * 1.04 } else { 1.0 }
    }

    /// Names of the series with their looks, below the title; says how many rows it took.
    fn legend(&self, root: &Area<'_>) -> Result<u32, Box<dyn std::error::Error>> {
        if self.series.len() < 2 {
            return Ok(0);
        }
        let (mut x, mut row) = (84, 0);
        for series in &self.series {
            // Letters of a sans serif at this size are about so wide.
            let width = 34 + i32::try_from(series.name.chars().count() * 7)?;
            if x + width > i32::try_from(SIZE.0)? {
                (x, row) = (84, row + 1);
            }
            let y = 43 + 20 * row;
            let colour = COLOURS[series.look % COLOURS.len()];
            if self.bars {
                root.draw(&Rectangle::new([(x - 7, y - 6), (x + 7, y + 6)], colour.filled()))?;
            } else {
                root.draw(&PathElement::new([(x - 11, y), (x + 11, y)], colour.stroke_width(2)))?;
                root.draw(
                    &(EmptyElement::at((x, y)) + Mark { look: series.look, colour, at: (0, 0) }.element()),
                )?;
            }
            let style = (FONT, 13).into_font().color(&BLACK).pos(Pos::new(HPos::Left, VPos::Center));
            root.draw(&Text::new(series.name.clone(), (x + 16, y), style))?;
            x += width;
        }
        Ok(u32::try_from(row)? + 1)
    }
}

/// The mark of a series: a shape, so that lines can be told without their colours.
#[derive(Clone, Copy, Debug)]
struct Mark {
    look: usize,
    colour: RGBColor,
    at: (i32, i32),
}

impl Mark {
    fn element(self) -> Polygon<(i32, i32)> {
        let (x, y) = self.at;
        let corners: &[(i32, i32)] = match self.look % COLOURS.len() {
            0 => &[(-4, -2), (-2, -4), (2, -4), (4, -2), (4, 2), (2, 4), (-2, 4), (-4, 2)],
            1 => &[(-4, -4), (4, -4), (4, 4), (-4, 4)],
            2 => &[(0, -5), (5, 4), (-5, 4)],
            3 => &[(0, 5), (5, -4), (-5, -4)],
            4 => &[(0, -6), (6, 0), (0, 6), (-6, 0)],
            5 => &[
                (-5, -2),
                (-2, -2),
                (-2, -5),
                (2, -5),
                (2, -2),
                (5, -2),
                (5, 2),
                (2, 2),
                (2, 5),
                (-2, 5),
                (-2, 2),
                (-5, 2),
            ],
            _ => &[(-5, 0), (4, -5), (4, 5)],
        };
        let corners: Vec<_> = corners.iter().map(|(dx, dy)| (x + dx, y + dy)).collect();
        Polygon::new(corners, self.colour.filled())
    }
}

/// The power of ten next to a number.
fn decade(number: f64, round: fn(f64) -> f64) -> f64 {
    10_f64.powf(round(number.max(1e-9).log10()))
}

/// Counts of what is drawn.
fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::INFINITY, f64::from)
}

/// A number with three digits that count and a letter for thousands.
pub(crate) fn short(value: f64) -> Short {
    Short(value)
}

/// See [`short`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Short(f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.0.abs();
        let (value, letter) = match size {
            size if size >= 999.5e6 => (self.0 / 1e9, " G"),
            size if size >= 999.5e3 => (self.0 / 1e6, " M"),
            size if size >= 10e3 => (self.0 / 1e3, " k"),
            _ => (self.0, ""),
        };
        let places = match value.abs() {
            size if size >= 99.95 => 0,
            size if size >= 9.995 => 1,
            _ => 2,
        };
        let text = format!("{value:.places$}");
        // 2.50 says no more than 2.5.
        let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
        write!(f, "{text}{letter}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: f64, expected: &str) {
        assert_eq!(short(value).to_string(), expected, "{value}");
    }

    #[test]
    fn numbers_are_short() {
        check(0.0, "0");
        check(0.987, "0.99");
        check(2.5, "2.5");
        check(40.0, "40");
        check(123.4, "123");
        check(9_999.0, "9999");
        check(12_340.0, "12.3 k");
        check(999_400.0, "999 k");
        check(999_600.0, "1 M");
        check(1_240_000.0, "1.24 M");
        check(3e9, "3 G");
        check(-2_000_000.0, "-2 M");
    }

    fn plot(points: Vec<Point>, logarithmic: bool, words: Option<Vec<String>>, bars: bool) -> Plot {
        let (title, across, upwards) = ("Title".to_owned(), "rate".to_owned(), "loss".to_owned());
        let series = vec![
            Series { name: "one".to_owned(), look: 0, points: points.clone() },
            Series { name: "other".to_owned(), look: 1, points },
        ];
        Plot { title, across, upwards, words, bars, logarithmic, series }
    }

    #[test]
    fn every_kind_is_drawn_with_its_words() {
        let points = vec![
            Point { x: 0.0, y: 1.0, range: Some((0.5, 4.0)) },
            Point { x: 1.0, y: 300.0, range: None },
            Point { x: 2.0, y: 0.0, range: None },
        ];
        let words = || Some(["a", "b", "c"].map(str::to_owned).to_vec());
        for logarithmic in [false, true] {
            for (words, bars) in [(None, false), (words(), false), (words(), true)] {
                let svg = plot(points.clone(), logarithmic, words.clone(), bars).svg().unwrap().unwrap();
                for word in ["Title", "rate", "loss", "one", "other"] {
                    assert!(svg.contains(word), "no {word:?} in {svg}");
                }
                assert_eq!(words.is_some(), svg.contains("\nb\n"), "{svg}");
                assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            }
        }
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        assert_eq!(plot(Vec::new(), false, None, false).svg().unwrap(), None);
        let zero = vec![Point { x: 1.0, y: 0.0, range: None }];
        assert_eq!(plot(zero.clone(), true, None, false).svg().unwrap(), None);
        assert!(plot(zero, false, None, false).svg().unwrap().is_some());
    }
}
