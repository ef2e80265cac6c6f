//! Bar and line charts in SVG, with a color-blind safe palette.

use anyhow::anyhow;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::statistics::Spread;
use crate::systems::System;

/// A part of a drawing.
pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const TITLE: i32 = 18;
const TEXT: i32 = 14;
const INK: RGBColor = RGBColor(34, 34, 34);
const FAINT: RGBColor = RGBColor(221, 221, 221);

/// A bar.
pub struct Bar {
    /// The system that it belongs to.
    pub system: System,
    /// The length (median) and the ends of the whisker (minimum and maximum).
    pub value: Spread,
    /// The label after the bar.
    pub label: String,
}

/// A titled group of bars with a common scale.
pub struct Group {
    /// The title; may be empty.
    pub title: String,
    /// The bars from top to bottom.
    pub bars: Vec<Bar>,
}

/// A line.
pub struct Line {
    /// The system that it belongs to.
    pub system: System,
    /// The points from left to right.
    pub points: Vec<(f64, f64)>,
}

/// The title and axes of a line chart.
pub struct Axes<'a> {
    /// The title of the chart.
    pub title: &'a str,
    /// The description of the x axis.
    pub x: &'a str,
    /// The description of the y axis.
    pub y: &'a str,
    /// The positions and labels of the x axis in ascending order.
    pub ticks: &'a [(f64, &'a str)],
    /// The range of the y axis, which is logarithmic; both ends are positive.
    pub range: (f64, f64),
}

/// Returns the powers of ten that enclose all positive values.
pub fn decades(lines: &[Line]) -> (f64, f64) {
    let values = lines.iter().flat_map(|line| line.points.iter().map(|(_, y)| *y));
    let logs: Vec<_> = values.filter(|y| *y > 0.0).map(f64::log10).collect();
    let min = logs.iter().copied().fold(f64::INFINITY, f64::min).floor();
    let max = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max).ceil();
    if logs.is_empty() { (1.0, 10.0) } else { (10_f64.powf(min), 10_f64.powf(max.max(min + 1.0))) }
}

/// Returns the color of a system, from the color-blind safe palette of Okabe and Ito.
fn color(system: System) -> RGBColor {
    match system {
        System::Katas => RGBColor(0, 114, 178),
        System::Spin => RGBColor(86, 180, 233),
        System::Axum => RGBColor(0, 158, 115),
        System::Uvicorn => RGBColor(230, 159, 0),
        System::Gunicorn => RGBColor(213, 94, 0),
        _ => RGBColor(120, 120, 120),
    }
}

/// Returns an SVG image of `size` in pixels, drawn by `draw`.
pub fn svg(
    size: (u32, u32),
    draw: impl FnOnce(&Area) -> anyhow::Result<()>,
) -> anyhow::Result<String> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        area.fill(&WHITE).map_err(failed)?;
        draw(&area)?;
        area.present().map_err(failed)?;
    }
    Ok(text.trim_end().to_owned() + "\n")
}

fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("cannot draw the chart: {error}")
}

fn draw_text(
    area: &Area,
    text: &str,
    position: (i32, i32),
    size: i32,
    anchor: HPos,
) -> anyhow::Result<()> {
    let style = ("sans-serif", size).into_font().color(&INK).pos(Pos::new(anchor, VPos::Center));
    area.draw_text(text, &style, position).map_err(failed)
}

/// Draws horizontal bars of medians with whiskers from minimum to maximum.
pub fn bars(area: &Area, title: &str, groups: &[Group]) -> anyhow::Result<()> {
    const LEFT: i32 = 190;
    const RIGHT: i32 = 140;
    const ROW: i32 = 20;
    let width = i32::try_from(area.dim_in_pixel().0)? - LEFT - RIGHT;
    draw_text(area, title, (12, 18), TITLE, HPos::Left)?;
    let mut y = 44;
    for group in groups {
        // Only the bars of a group are compared, so each group has its own scale.
        let max = group.bars.iter().map(|bar| bar.value.max).fold(0.0, f64::max);
        let x = |value: f64| LEFT + (f64::from(width) * value / max.max(f64::MIN_POSITIVE)) as i32;
        if !group.title.is_empty() {
            draw_text(area, &group.title, (12, y), TEXT + 1, HPos::Left)?;
            y += ROW;
        }
        for bar in &group.bars {
            let Spread { median, min, max } = bar.value;
            draw_text(area, bar.system.label(), (LEFT - 8, y), TEXT, HPos::Right)?;
            let shape = [(LEFT, y - 7), (x(median), y + 7)];
            area.draw(&Rectangle::new(shape, color(bar.system).filled())).map_err(failed)?;
            let whisker = [(x(min), y), (x(max), y)];
            area.draw(&PathElement::new(whisker, INK.stroke_width(2))).map_err(failed)?;
            draw_text(area, &bar.label, (x(max) + 6, y), TEXT, HPos::Left)?;
            y += ROW;
        }
        y += 10;
    }
    Ok(())
}

/// Returns the height of a bar chart in pixels.
pub fn height(groups: &[Group]) -> u32 {
    let rows = |group: &Group| group.bars.len() + usize::from(!group.title.is_empty());
    let rows: usize = groups.iter().map(rows).sum();
    u32::try_from(54 + 20 * rows + 10 * groups.len()).unwrap_or(u32::MAX)
}

/// Draws lines over a logarithmic y axis.
pub fn lines(area: &Area, axes: &Axes, lines: &[Line]) -> anyhow::Result<()> {
    let (Some(first), Some(last)) = (axes.ticks.first(), axes.ticks.last()) else {
        return Ok(());
    };
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .x_label_area_size(34)
        .y_label_area_size(56)
        .caption(axes.title, ("sans-serif", TITLE).into_font().color(&INK))
        .build_cartesian_2d(first.0..last.0, (axes.range.0..axes.range.1).log_scale())
        .map_err(failed)?;
    let text = ("sans-serif", TEXT).into_font().color(&INK);
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .bold_line_style(FAINT)
        .axis_style(INK)
        .x_labels(0)
        .y_labels(6)
        .y_label_formatter(&|value| plain(*value))
        .label_style(text.clone())
        .x_desc(axes.x)
        .y_desc(axes.y)
        .axis_desc_style(text.clone())
        .draw()
        .map_err(failed)?;
    for (x, label) in axes.ticks {
        let (column, row) = chart.backend_coord(&(*x, axes.range.0));
        let (left, top) = area.get_base_pixel();
        draw_text(area, label, (column - left, row - top + 9), TEXT - 1, HPos::Center)?;
    }
    for line in lines {
        let (min, max) = axes.range;
        let points: Vec<_> = line.points.iter().map(|&(x, y)| (x, y.clamp(min, max))).collect();
        let style = color(line.system).stroke_width(2);
        chart.draw_series(LineSeries::new(points.clone(), style)).map_err(failed)?;
        let dots =
            points.into_iter().map(|point| Circle::new(point, 3, color(line.system).filled()));
        chart.draw_series(dots).map_err(failed)?;
    }
    Ok(())
}

/// Draws a legend with the color of each system.
pub fn legend(area: &Area, systems: &[System]) -> anyhow::Result<()> {
    let mut x = 20;
    for system in systems {
        let square = Rectangle::new([(x, 8), (x + 14, 22)], color(*system).filled());
        area.draw(&square).map_err(failed)?;
        draw_text(area, system.label(), (x + 20, 15), TEXT, HPos::Left)?;
        x += 44 + 7 * i32::try_from(system.label().chars().count())?;
    }
    Ok(())
}

fn plain(value: f64) -> String {
    if value >= 1.0 { format!("{value:.0}") } else { format!("{value}") }
}
